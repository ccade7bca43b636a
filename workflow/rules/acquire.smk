# Acquire: a row of the sheet becomes a video file, what is in it, and its sound.
# Takes config/{videos,channels}.tsv; gives results/acquire/{subject}/{video}/{video,info.json,probe.json,audio.flac}, status.parquet
# and, when asked for by name, candidates.tsv.
from handroll.acquire.refetch import earlier_tries, limits_for
from handroll.acquire.sites import site_of

LIMITS = cfg(
    min_s="screening.duration.min_s",
    max_s="screening.duration.max_s",
    max_size_gb="acquire.max_size_gb",
    min_free_gb="acquire.min_free_gb",
)
PACE = cfg(**{name: f"acquire.{name}" for name in ("tries", "back_off_s", "max_wait_s", "pause_s", "max_rate_mb_s")})


rule list_channels:
    """List the channels' videos as rows of the sheet. Only asked for by name: `snakemake list_channels --forcerun list_channels`."""
    input:
        channels=CONFIG.acquire.channels,
    output:
        # Not the sheet, into which the script merges them: Snakemake removes outputs before a job.
        candidates="results/acquire/candidates.tsv",
    log:
        "results/logs/list_channels.log",
    benchmark:
        "results/timings/list_channels.tsv"
    localrule: True
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=240,
    params:
        code=code_of("list_channels.py"),
        sheet=CONFIG.sheet,
        settings=cfg(max_listed="acquire.max_listed"),
        pace=PACE,
    script:
        "../scripts/list_channels.py"


rule fetch_video:
    """Link a local file or download a URL. What cannot be had becomes an empty file with its reason in info.json."""
    input:
        # A video of the evaluation is rendered first.
        rendered=lambda wildcards: row_of(wildcards).source if tuple(wildcards) in SIMULATED else [],
    output:
        video="results/acquire/{subject}/{video}/video",
        info="results/acquire/{subject}/{video}/info.json",
    log:
        "results/logs/fetch_video/{subject}/{video}.log",
    benchmark:
        "results/timings/fetch_video/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(240),
        youtube=lambda wildcards: int(site_of(row_of(wildcards).source) == "youtube"),
        bilibili=lambda wildcards: int(site_of(row_of(wildcards).source) == "bilibili"),
        other_site=lambda wildcards: int(site_of(row_of(wildcards).source) == "other_site"),
    params:
        code=versions_of("fetch_video.py", "acquire.download", "acquire.refetch"),
        identity=identity("source"),
        source=path_of("source"),
        settings=cfg(max_height_px="acquire.max_height_px"),
        # Changes where asking again can help, and only there, so that the next run asks for what failed for the time being.
        tries=lambda wildcards: earlier_tries(
            f"results/acquire/{wildcards.subject}/{wildcards.video}", limits_for(row_of(wildcards), LIMITS)
        ),
        # Functions of `input` are not compared: another pace or limit fetches nothing anew by itself.
        limits=lambda wildcards, input: limits_for(row_of(wildcards), LIMITS),
        pace=lambda wildcards, input: PACE,
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
        "results/timings/probe_video/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10, an_hour=10),
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
        "results/timings/extract_audio/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10, an_hour=20),
    params:
        code=code_of("extract_audio.py"),
        rejected=rejected("probe"),
    message:
        "Extract the sound of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/extract_audio.py"


rule summarise_acquire:
    """One row a video of the sheet: whether it is there, and why not."""
    input:
        info=per_video(rules.fetch_video.output.info),
    output:
        status="results/acquire/status.parquet",
    log:
        "results/logs/summarise_acquire.log",
    benchmark:
        "results/timings/summarise_acquire.tsv"
    localrule: True
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        code=code_of("summarise_acquire.py"),
        fetched=list(map(list, VIDEOS)),
        # Rejected by their listing or by a person: never asked for.
        unfetched=[
            [*name, source_name(row.source), [str(reason) for reason in LISTED[name].reasons]]
            for name, row in SHEET.items()
            if name not in VIDEOS
        ],
    script:
        "../scripts/summarise_acquire.py"
