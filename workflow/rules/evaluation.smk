# Evaluation: how accurate every stage is. Simulated performances go through the pipeline's own rules and are scored against their truth.
# Takes nothing (and the sheet evaluation.recordings, where given); gives results/evaluation/{videos,scores,scenes,evaluation.*}.
from handroll.evaluation.scenes import KINDS
from handroll.evaluation.videos import SUBJECT, VIDEO_PATTERN, seeds


wildcard_constraints:
    seed=r"\d+",
    kind="|".join(KINDS),


# What is scored, of every video of the evaluation.
STAGES = {
    "registration": rules.register_keyboard.output.registration,
    "detections": rules.detect_hands.output.detections,
    "pose": rules.fit_pose.output.pose,
    "motion": rules.clean_motion.output.motion,
    "transcribed": rules.check_midi.output.notes,
    "notes": rules.label_fingering.output.notes,
    "fingering": rules.label_fingering.output.summary,
}


rule render_performance:
    """Render a performance of the simulator, its sound late or early by a known time, and write the truth about it."""
    output:
        video=VIDEO_PATTERN.format(video="seed_{seed}"),
        truth=VIDEO_PATTERN.format(video="seed_{seed}").replace(".mp4", ".truth.npz"),
    log:
        "results/logs/render_performance/{seed}.log",
    benchmark:
        "results/timings/render_performance/{seed}.tsv"
    # Everything else waits for the videos.
    priority: 200
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(3000),
        runtime=grows(60),
    params:
        code=code_of("render_performance.py"),
        settings=cfg(duration_s="evaluation.duration_s", width_px="evaluation.width_px", fps="evaluation.fps"),
    script:
        "../scripts/render_performance.py"


rule score_performance:
    """Score every stage of the pipeline on a simulated performance against its truth."""
    input:
        **{name: path.format(subject=SUBJECT, video="seed_{seed}") for name, path in STAGES.items()},
        truth=rules.render_performance.output.truth,
    output:
        scores="results/evaluation/scores/seed_{seed}.json",
    log:
        "results/logs/score_performance/{seed}.log",
    benchmark:
        "results/timings/score_performance/{seed}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(3000),
        runtime=grows(10),
    params:
        code=code_of("score_performance.py"),
    script:
        "../scripts/score_performance.py"


rule score_scenes:
    """Register the keyboard in simulated scenes of a kind, and compare with the true camera."""
    output:
        scenes="results/evaluation/scenes/{kind}.json",
    log:
        "results/logs/score_scenes/{kind}.log",
    benchmark:
        "results/timings/score_scenes/{kind}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(3000),
        runtime=grows(120),
    params:
        code=code_of("score_scenes.py"),
        settings=cfg(number="evaluation.scenes", first_seed="evaluation.first_seed"),
    script:
        "../scripts/score_scenes.py"


rule summarise_evaluation:
    """All scores as figures with intervals: JSON, a page, and a diagram of how reliable the confidence of fingering is."""
    input:
        **{
            name: [path.format(subject=subject, video=video) for subject, video in RECORDINGS]
            for name, path in STAGES.items()
        },
        scores=expand(rules.score_performance.output.scores, seed=seeds(CONFIG.evaluation)),
        scenes=expand(rules.score_scenes.output.scenes, kind=KINDS) if CONFIG.evaluation.scenes else [],
    output:
        figures="results/evaluation/evaluation.json",
        page="results/evaluation/evaluation.md",
        reliability="results/evaluation/reliability.png",
    log:
        "results/logs/summarise_evaluation.log",
    benchmark:
        "results/timings/summarise_evaluation.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000),
        runtime=grows(10),
    params:
        code=code_of("summarise_evaluation.py"),
        seeds=seeds(CONFIG.evaluation),
        settings=cfg(seconds="evaluation.duration_s", width_px="evaluation.width_px", fps="evaluation.fps"),
        recordings=list(map(list, RECORDINGS)),
    script:
        "../scripts/summarise_evaluation.py"
