# Screen: which videos are good enough, and why the others are not. The verdicts themselves are params of the rules that
# act on them (common.smk: rejected); here they become a table and pages for people.
# Takes what results/{acquire,screening,hands,music,keyboard} measured; gives results/screening/{verdicts.json,summary.tsv,gallery.html}.


rule screen_videos:
    """Every video of the sheet: verdict, reasons, scores beside thresholds; as a table and as a gallery of thumbnails."""
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
        videos=[[shown(row), row.override] for row in VIDEOS.values()],
        unfetched=[[shown(SHEET[name]), verdict.to_dict()] for name, verdict in LISTED.items() if name not in VIDEOS],
    script:
        "../scripts/screen_videos.py"
