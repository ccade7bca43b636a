# Inputs of the targets in the Snakefile.

# Steps of a video in the order of the data flow.
STEPS = [
    "fetch_video",
    "probe_video",
    "extract_audio",
    "survey_video",
    "find_segments",
    "measure_audio",
    "detect_hands",
    "measure_visibility",
    "transcribe_audio",
    "check_midi",
    "register_keyboard",
    "fit_pose",
    "label_fingering",
    "refine_pose",
    "clean_motion",
    "cut_clips",
]
if CONFIG.motion.correction != "none":
    STEPS.insert(STEPS.index("cut_clips"), "correct_motion")


def steps_to(last):
    """For inputs of targets: one file of every step of every video, up to the named step.

    Snakemake makes a missing file only for a target or for a job that runs anyway. If an intermediate job fails after a change,
    its outputs are removed, and only a target that names them makes Snakemake run the job again.
    """
    return per_video(*(getattr(rules, step).output[0] for step in STEPS[: STEPS.index(last) + 1]))


def correction_tables(wildcards):
    """For the input of `correction_table`: the tables of the experiment. Without rows, there is nothing to compare."""
    if not CORRECTION.rows:
        raise WorkflowError(
            "benchmark.correction.rows: expected rows of the table, such as transformer_pose and mapnet, found none; name them, or use "
            "`--configfile config/experiments/correction.yaml`"
        )
    return rules.make_correction_table.output


def existing_overlays(wildcards):
    """For the input of `all`: overlays of the videos that have a folder of overlays.

    Folders are checked instead of files, because a failed job removes its file but not the folder.
    """
    paths = (rules.draw_overlay.output.overlay.format(subject=subject, video=video) for subject, video in VIDEOS)
    return [path for path in paths if os.path.isdir(os.path.dirname(path))]
