# Evaluation: run the pipeline on simulated performances, and score every step against the ground truth.
# Reads the sheet evaluation.recordings, if configured. Writes results/evaluation/{videos,scores,scenes,evaluation.*}.
from handroll.evaluation.scene_kinds import KINDS
from handroll.evaluation.videos import SUBJECT, VIDEO_PATTERN, seeds

# Keys of section `evaluation` that have no effect on the rendering of performances.
NOT_RENDERED = ("performances", "first_seed", "scenes", "recordings")


wildcard_constraints:
    seed=r"\d+",
    kind="|".join(KINDS),


# Outputs of the pipeline that are scored, for every video of the evaluation.
STAGES = {
    "registration": rules.register_keyboard.output.registration,
    "detections": rules.detect_hands.output.detections,
    "pose": rules.fit_pose.output.pose,
    "motion": MOTION,
    "transcribed": rules.check_midi.output.notes,
    "notes": rules.label_fingering.output.notes,
    "fingering": rules.label_fingering.output.summary,
}


rule render_performance:
    """Render a simulated performance with a known audio delay, and write its ground truth."""
    output:
        video=VIDEO_PATTERN.format(video="seed_{seed}"),
        truth=VIDEO_PATTERN.format(video="seed_{seed}").replace(".mp4", ".truth.npz"),
    log:
        "results/logs/render_performance/{seed}.log",
    benchmark:
        "results/timings/render_performance/{seed}.tsv"
    # All other jobs of the evaluation wait for the videos.
    priority: 200
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(3000),
        runtime=grows(60),
    params:
        code=code_of("render_performance.py"),
        settings=cfg("evaluation", without=NOT_RENDERED),
    script:
        "../scripts/render_performance.py"


rule score_performance:
    """Score every step of the pipeline on a simulated performance against its ground truth."""
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
    """Register the keyboard in simulated scenes of one kind, and compare the result with the true camera."""
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
        settings=cfg("evaluation.first_seed", number="evaluation.scenes"),
    script:
        "../scripts/score_scenes.py"


rule summarise_evaluation:
    """Summarise all scores with confidence intervals, as JSON, a page, and a reliability diagram of the fingering confidence."""
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
        settings=cfg("evaluation", without=NOT_RENDERED, seconds="evaluation.duration_s"),
        recordings=list(map(list, RECORDINGS)),
    script:
        "../scripts/summarise_evaluation.py"
