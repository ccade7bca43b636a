# Screening: collect the verdicts on all videos in a table and a gallery. Rules that depend on a
# verdict do not read these files. They compute the verdict as a param (common.smk: rejected).
# Reads the scores in results/{acquire,screening,hands,music,keyboard}. Writes results/screening/{verdicts.json,summary.tsv,gallery.html}.

# Values of each row of the sheet that the results show next to the verdict.
FACTS = {
    name: {"subject": row.subject, "video": row.video, "title": row.title, "source": source_name(row.source)}
    for name, row in SHEET.items()
}


rule screen_videos:
    """Write each video's verdict, reasons, scores and thresholds as a table and as a gallery of thumbnails."""
    input:
        **{step: per_video(path) for step, path in MEASURED.items()},
        thumbnails=per_video(rules.survey_video.output.thumbnails),
    output:
        verdicts="results/screening/verdicts.json",
        summary="results/screening/summary.tsv",
        gallery="results/screening/gallery.html",
    log:
        "results/logs/screen_videos.log",
    benchmark:
        "results/timings/screen_videos.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        code=code_of("screen_videos.py"),
        steps=list(MEASURED),
        thresholds=THRESHOLDS,
        videos=[[FACTS[name], row.override] for name, row in VIDEOS.items()],
        unfetched=[[FACTS[name], verdict.to_dict()] for name, verdict in LISTED.items() if name not in VIDEOS],
    script:
        "../scripts/screen_videos.py"
