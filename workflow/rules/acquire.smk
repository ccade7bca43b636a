# Acquire: get the video of each row of the sheet, probe the file, and extract its audio.
# Reads config/{videos,channels}.tsv. Writes results/acquire/{subject}/{video}/{video,info.json,probe.json,audio.flac} and
# results/acquire/status.parquet. The target list_channels also writes results/acquire/candidates.tsv.
from handroll.acquire.refetch import earlier_tries, limits_for
from handroll.acquire.sites import site_of

# Limits on the length and size of a download.
LIMITS = cfg("screening.duration", "acquire.max_size_gb", "acquire.min_free_gb")

# Retries and rate limits: all keys of section `acquire` except those that select what to list or download.
PACE = cfg("acquire", without=("channels", "takedown", "max_listed", "max_height_px", "max_size_gb", "min_free_gb"))


rule list_channels:
    """List the videos of channels and add new ones to the sheet. Run it by name: `snakemake list_channels --forcerun list_channels`."""
    input:
        channels=CONFIG.acquire.channels,
    output:
        # The script also adds rows to the sheet. The sheet is not an output, because Snakemake removes outputs before a job.
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
        settings=cfg("acquire.max_listed"),
        pace=PACE,
    script:
        "../scripts/list_channels.py"


rule fetch_video:
    """Link a local file or download a URL. If that fails, write an empty file, and the reason to info.json."""
    input:
        # Simulated videos of the evaluation are rendered first.
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
        settings=cfg("acquire.max_height_px"),
        # The number changes only if another try can succeed. A changed number makes the next run repeat the download.
        tries=lambda wildcards: earlier_tries(
            f"results/acquire/{wildcards.subject}/{wildcards.video}", limits_for(row_of(wildcards), LIMITS)
        ),
        # Snakemake does not compare params that are functions of `input`, so changing limits or rates repeats no finished download.
        limits=lambda wildcards, input: limits_for(row_of(wildcards), LIMITS),
        pace=lambda wildcards, input: PACE,
    script:
        "../scripts/fetch_video.py"


rule probe_video:
    """Read frame size, frame times, rotation and streams from the container."""
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
        runtime=grows(10, per_hour=10),
    params:
        code=code_of("probe_video.py"),
    script:
        "../scripts/probe_video.py"


rule extract_audio:
    """Decode the audio to mono FLAC. Its first sample is at the time of the video's first frame."""
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
        runtime=grows(10, per_hour=20),
    params:
        code=code_of("extract_audio.py"),
        rejected=rejected("probe"),
    message:
        "Extract the audio of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/extract_audio.py"


rule summarise_acquire:
    """Write a table with one row for each video of the sheet: downloaded or not, and the reason."""
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
        # Videos that were rejected before the download, by their listed properties or by a person.
        unfetched=[
            [*name, source_name(row.source), [str(reason) for reason in LISTED[name].reasons]]
            for name, row in SHEET.items()
            if name not in VIDEOS
        ],
    script:
        "../scripts/summarise_acquire.py"
