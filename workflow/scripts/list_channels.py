"""List channels: reads the sheet of channels; writes candidates.tsv, one row for each video, and adds new videos to the sheet of videos.

The sheet of videos is edited in place, without changes to existing rows. Columns: `handroll.config.sheet.Video`.
"""

from handroll.acquire.back_off import Pace
from handroll.acquire.candidates import merge_into_sheet, write_candidates
from handroll.acquire.channels import list_channels, read_channels
from handroll.logs import step_log


def main(snakemake):
    """List every channel and add the videos to the sheet. Then raise an error if a channel could not be listed."""
    params = snakemake.params
    with step_log(snakemake.log[0], snakemake.rule) as log:
        listing = list_channels(read_channels(snakemake.input.channels), pace=Pace(**params.pace), **params.settings)
        added = merge_into_sheet(params.sheet, listing.candidates)
        write_candidates(snakemake.output.candidates, listing.candidates)
        for line in listing.report():
            log.info("%s", line)
        log.info("%d new rows in %s", len(added), params.sheet)
        listing.raise_if_failed()


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
