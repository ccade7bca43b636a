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
include: "workflow/rules/screen.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    acquire,
    screen,
    hands,
    motion,
    music,
    keyboard,
    overlays,
    split_videos,
    screen_videos,


rule all:
    """The dataset: shards, card and statistics."""
    default_target: True
    input:
        shards=rules.write_shards.output,
        card=rules.describe_dataset.output,


rule acquire:
    """Every video fetched and probed, its sound extracted."""
    input:
        probe=per_video(rules.probe_video.output.probe),
        audio=per_video(rules.extract_audio.output.audio),
        status=rules.summarise_acquire.output.status,


rule screen:
    """Every video's verdict: a table and a gallery; and what became of each download."""
    input:
        rules.screen_videos.output,
        rules.summarise_acquire.output.status,


rule hands:
    """Every video's fitted poses, before cleaning."""
    input:
        pose=per_video(rules.refine_pose.output.pose),


rule motion:
    """Every video's cleaned motion."""
    input:
        motion=per_video(rules.clean_motion.output.motion),


rule music:
    """Every video's notes."""
    input:
        midi=per_video(rules.check_midi.output.midi),


rule keyboard:
    """Every video's registered keyboard and fingered notes."""
    input:
        registration=per_video(rules.register_keyboard.output.registration),
        notes=per_video(rules.label_fingering.output.notes),


rule overlays:
    """Every video with its hands drawn on it, and a contact sheet."""
    input:
        overlay=per_video(rules.draw_overlay.output.overlay),
        contact_sheet=per_video(rules.draw_overlay.output.contact_sheet),
