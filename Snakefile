# handroll: turn videos of piano playing into a 3D hand-motion dataset.
# This file is an index. Each phase has its own file below, in the order of the data flow.
from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/acquire.smk"
include: "workflow/rules/survey.smk"
include: "workflow/rules/hands.smk"
include: "workflow/rules/motion.smk"
include: "workflow/rules/music.smk"
include: "workflow/rules/keyboard.smk"
include: "workflow/rules/screening.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/exchange.smk"
include: "workflow/rules/synthetic.smk"
include: "workflow/rules/experiment.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/correction.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/targets.smk"


# These rules run where Snakemake runs: they take less time than submitting a cluster job.
localrules:
    all,
    acquire,
    screen,
    hands,
    motion,
    music,
    keyboard,
    overlays,
    benchmark,
    correction_table,
    evaluation,
    find_segments,
    measure_visibility,
    split_videos,
    screen_videos,


rule all:
    """Make the dataset: shards, card and statistics. Overlays that exist are updated."""
    default_target: True
    input:
        steps=steps_to("cut_clips"),
        splits=rules.split_videos.output,
        verdicts=rules.screen_videos.output,
        shards=rules.write_shards.output,
        card=rules.describe_dataset.output,
        overlays=existing_overlays,


rule acquire:
    """Get and probe every video, and extract its audio."""
    input:
        steps=steps_to("extract_audio"),
        status=rules.summarise_acquire.output.status,


rule screen:
    """Make the table and the gallery of verdicts, and the table of downloads."""
    input:
        steps=steps_to("register_keyboard"),
        verdicts=rules.screen_videos.output,
        status=rules.summarise_acquire.output.status,


rule hands:
    """Fit the hand poses of every video, without cleaning them."""
    input:
        steps=steps_to("refine_pose"),


rule motion:
    """Make the cleaned hand motion of every video, corrected if the configuration says so."""
    input:
        steps=steps_to("clean_motion"),
        motion=per_video(MOTION),


rule music:
    """Choose the notes of every video."""
    input:
        steps=steps_to("check_midi"),
        midi=per_video(rules.check_midi.output.midi),


rule keyboard:
    """Register the keyboard and label the fingering of every video."""
    input:
        steps=steps_to("label_fingering"),


rule overlays:
    """Draw hands and keys on every video, and a contact sheet."""
    input:
        steps=steps_to("clean_motion"),
        overlay=per_video(rules.draw_overlay.output.overlay),


rule benchmark:
    """Train the models of the experiment, generate and score motions, and write the comparison tables."""
    input:
        tables=rules.make_tables.output,


rule correction_table:
    """Train the models that correct motion, score them on motion with noise, and write the comparison tables."""
    input:
        tables=correction_tables,


rule evaluation:
    """Measure the accuracy of every stage on simulated performances with known ground truth."""
    input:
        figures=rules.summarise_evaluation.output,
