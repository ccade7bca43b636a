# handroll: from videos of piano playing to a 3D hand-motion dataset.
# This file is an index: each phase has its own file below, in the order in which the data flows.
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
include: "workflow/rules/training.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/evaluation.smk"


# These take less time than asking a cluster for them.
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
    evaluation,
    find_segments,
    measure_visibility,
    split_videos,
    screen_videos,


rule all:
    """The dataset: shards, card and statistics; overlays that were drawn before are kept up to date."""
    default_target: True
    input:
        steps=steps_to("cut_clips"),
        splits=rules.split_videos.output,
        verdicts=rules.screen_videos.output,
        shards=rules.write_shards.output,
        card=rules.describe_dataset.output,
        overlays=drawn_before(rules.draw_overlay.output.overlay),


rule acquire:
    """Every video fetched and probed, its sound extracted."""
    input:
        steps=steps_to("extract_audio"),
        status=rules.summarise_acquire.output.status,


rule screen:
    """Every video's verdict: a table and a gallery; and what became of each download."""
    input:
        steps=steps_to("register_keyboard"),
        verdicts=rules.screen_videos.output,
        status=rules.summarise_acquire.output.status,


rule hands:
    """Every video's fitted poses, before cleaning."""
    input:
        steps=steps_to("refine_pose"),


rule motion:
    """Every video's cleaned motion."""
    input:
        steps=steps_to("clean_motion"),


rule music:
    """Every video's notes."""
    input:
        steps=steps_to("check_midi"),
        midi=per_video(rules.check_midi.output.midi),


rule keyboard:
    """Every video's registered keyboard and fingered notes."""
    input:
        steps=steps_to("label_fingering"),


rule overlays:
    """Every video with its hands drawn on it, and a contact sheet."""
    input:
        steps=steps_to("clean_motion"),
        overlay=per_video(rules.draw_overlay.output.overlay),


rule benchmark:
    """The experiment's tables: models trained, motions generated and scored."""
    input:
        tables=rules.make_tables.output,


rule evaluation:
    """How accurate every stage is: simulated performances through these rules, scored against their truth."""
    input:
        figures=rules.summarise_evaluation.output,
