# Acquire: a row of the sheet becomes a video file, what is in it, and its sound.
# Takes config/videos.tsv; gives results/acquire/{subject}/{video}/{video,info.json,probe.json,audio.flac}.


rule fetch_video:
    """Link a local file or download a URL. What cannot be had becomes an empty file with its reason in info.json."""
    input:
        source=lambda wildcards: local_file(row_of(wildcards).source),
    output:
        video="results/acquire/{subject}/{video}/video",
        info="results/acquire/{subject}/{video}/info.json",
    log:
        "results/logs/fetch_video/{subject}/{video}.log",
    benchmark:
        "results/benchmarks/fetch_video/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=120,
    params:
        code=version_of("handroll.video.download"),
        source=lambda wildcards: row_of(wildcards).source,
        settings=cfg(max_height_px="acquire.max_height_px"),
    script:
        "../scripts/fetch_video.py"


rule probe_video:
    """Measure size, times, rotation and streams from the container."""
    input:
        video=rules.fetch_video.output.video,
        info=rules.fetch_video.output.info,
    output:
        probe="results/acquire/{subject}/{video}/probe.json",
    log:
        "results/logs/probe_video/{subject}/{video}.log",
    benchmark:
        "results/benchmarks/probe_video/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code_of("probe_video.py"),
    script:
        "../scripts/probe_video.py"


rule extract_audio:
    """Decode the sound to mono FLAC whose first sample is at the video's first frame."""
    input:
        video=rules.fetch_video.output.video,
        probe=rules.probe_video.output.probe,
    output:
        audio="results/acquire/{subject}/{video}/audio.flac",
    log:
        "results/logs/extract_audio/{subject}/{video}.log",
    benchmark:
        "results/benchmarks/extract_audio/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=20,
    params:
        code=code_of("extract_audio.py"),
        rejected=rejected("probe"),
    message:
        "Extract the sound of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/extract_audio.py"
