# Screen: which videos are good enough, and why the others are not.
# Takes results/acquire and results/hands; gives results/screen/{subject}/{video}/screening.json and results/screen/summary.tsv.


rule screen_video:
    """Compare a video's scores with the thresholds: a verdict with enumerated reasons."""
    input:
        probe=rules.probe_video.output.probe,
        detections=rules.detect_hands.output.detections,
    output:
        screening="results/screen/{subject}/{video}/screening.json",
    log:
        "results/logs/screen_video/{subject}/{video}.log",
    benchmark:
        "results/benchmarks/screen_video/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("screen_video.py"),
        thresholds=cfg(
            resolution="screen.resolution",
            duration="screen.duration",
            sound="screen.sound",
            visibility="screen.visibility",
        ),
    script:
        "../scripts/screen_video.py"


rule summarise_screening:
    """One row a video: verdict, reasons, scores."""
    input:
        screening=per_video(rules.screen_video.output.screening),
    output:
        summary="results/screen/summary.tsv",
    log:
        "results/logs/summarise_screening.log",
    benchmark:
        "results/benchmarks/summarise_screening.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        code=code_of("summarise_screening.py"),
    script:
        "../scripts/summarise_screening.py"
