"""Measure the errors of handroll's own motion on simulated performances, as parameters of the noise that models learn to correct.

    snakemake --cores all evaluation
    python evaluation/motion_noise.py .

The folder is a project in which the target `evaluation` has run. The script prints the parameters as JSON. The constants `MEASURED` and,
with `--by-axis`, `MEASURED_BY_AXIS` of `handroll.training_data.motion_noise` contain them.
"""

import argparse
import json
from dataclasses import asdict

from handroll.evaluation.motion_noise import measure_noise, read_pairs


def main():
    """Measure the noise and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="project folder with the results of the target `evaluation`")
    parser.add_argument("--by-axis", action="store_true", help="measure gains and errors of rotations for each axis")
    options = parser.parse_args()
    noise, observed = measure_noise(read_pairs(options.folder), options.by_axis)
    print(json.dumps(asdict(noise), indent=2))
    print(f"from {observed} observed hands")


if __name__ == "__main__":
    main()
