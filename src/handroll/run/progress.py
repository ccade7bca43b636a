"""Report the progress of a workflow: one line for each video and stage, with its duration and the estimated remaining time.

A stage is a group of consecutive rules, such as "hands": the detection of hands and the measurement of their visibility.
The relative costs of the rules are known (`COSTS`). The speed of the computer and the number of parallel jobs are measured on
finished jobs, so the first lines contain no estimate.
"""

from dataclasses import dataclass, field

from handroll.run.own_sheet import SUBJECT

STAGES = {
    "reading": ("fetch_video", "probe_video", "extract_audio"),
    "survey": ("survey_video", "find_segments", "measure_audio"),
    "hands": ("detect_hands", "measure_visibility"),
    "notes": ("transcribe_audio", "check_midi"),
    "keyboard": ("register_keyboard",),
    "motion": ("fit_pose", "label_fingering", "refine_pose", "clean_motion"),
    "clips": ("cut_clips",),
    "overlay": ("draw_overlay",),
}
"""Stages of a video and their rules, in order. A stage is finished with its last rule. A rule that is not listed is a stage of its own."""

COSTS = {
    "fetch_video": (0.5, 0.0),
    "probe_video": (0.5, 0.0),
    "extract_audio": (0.3, 0.01),
    "survey_video": (3.0, 0.2),
    "find_segments": (0.5, 0.0),
    "measure_audio": (2.5, 0.02),
    "detect_hands": (2.0, 0.6),
    "measure_visibility": (0.5, 0.0),
    "transcribe_audio": (5.0, 2.0),
    "check_midi": (2.0, 0.02),
    "register_keyboard": (4.5, 0.0),
    "fit_pose": (3.5, 0.05),
    "label_fingering": (1.0, 0.03),
    "refine_pose": (3.0, 0.02),
    "clean_motion": (2.3, 0.1),
    "cut_clips": (2.0, 0.02),
    "draw_overlay": (2.0, 0.55),
}
"""Cost of each rule: a fixed processor time (s), and an additional processor time (s) for each second of video at 30 frames/s. Source:
`results/timings` of a 1080p30 and a 720p60 video. Only the ratios matter, since the speed of the computer is measured during the run."""

MIN_FINISHED_SHARE = 0.05
"""Minimum share of the expected work that must be finished before the remaining time is estimated, 0..1."""

NO_ERROR = "its process ended without an error message; it may have been killed, for example because of too little memory"
"""Message about a failed job whose log contains no error."""


@dataclass
class Job:
    """A running or finished job.

    Attributes
    ----------
    rule : str
        Name of its rule.
    video : str
        `subject/name` of its video; empty for a job without a video.
    started_s : float
        Time of its start, s.
    log : str
        Path of its log; empty for a job without a log.
    """

    rule: str
    video: str
    started_s: float
    log: str = ""


@dataclass
class Progress:
    """Progress of a workflow, updated by its events.

    Parameters
    ----------
    length_of : function of str to float or None
        Returns the length of a video (`subject/name`), s, as the number of its frames divided by 30. It is 0 for a rejected file, whose
        jobs do nothing, and None as long as it is unknown.
    waiting : dict of str to int
        Number of unfinished jobs of each rule.
    running : dict
        Running `Job` by id.
    finished : list of (Job, float)
        Finished jobs and their durations, s.
    started_s : float or None
        Time of the start of the workflow, s.
    videos : list of str
        Videos with a started job.
    """

    length_of: object
    waiting: dict = field(default_factory=dict)
    running: dict = field(default_factory=dict)
    finished: list = field(default_factory=list)
    started_s: float | None = None
    videos: list = field(default_factory=list)

    def plan(self, counts, at_s):
        """Record the start of the workflow at a time (s), with the number of jobs of each rule."""
        self.started_s = at_s
        self.waiting = {rule: count for rule, count in counts.items() if rule != "total"}

    def start(self, identity, job):
        """Record the start of a job; `identity` is its id."""
        self.running[identity] = job
        if job.video and job.video not in self.videos:
            self.videos.append(job.video)

    def finish(self, identity, at_s):
        """Record the end of a job; return a line of text if the job completes a stage, otherwise None."""
        job = self.running.pop(identity, None)
        if job is None:
            return None
        self.waiting[job.rule] = max(self.waiting.get(job.rule, 0) - 1, 0)
        self.finished.append((job, at_s - job.started_s))
        stage = _stage_of(job.rule)
        if stage is None and not job.log:
            # The job of a target without a script, such as `all`, completes no stage.
            return None
        rules = STAGES.get(stage, (job.rule,))
        if job.rule != rules[-1] or (job.video and self.length_of(job.video) == 0.0):
            return None
        took_s = sum(took for done, took in self.finished if done.rule in rules and done.video == job.video)
        return self.line(job.video, stage or job.rule, took_s, at_s)

    def fail(self, identity):
        """Record a failed job, and that the later jobs of its video will not run.

        Returns
        -------
        Job or None
            The failed job; None for an unknown id.
        """
        job = self.running.pop(identity, None)
        if job is not None:
            order = [rule for rules in STAGES.values() for rule in rules]
            lost = order[order.index(job.rule) :] if job.video and job.rule in order else [job.rule]
            for rule in lost:
                self.waiting[rule] = max(self.waiting.get(rule, 0) - 1, 0)
        return job

    def line(self, video, stage, took_s, at_s):
        """Format a line about a finished stage: time since the start, video, stage, duration, remaining time."""
        left = self.left_s(at_s)
        left = f"   about {format_duration(left)} left" if left else ""
        since_s = 0.0 if self.started_s is None else at_s - self.started_s
        return f"{format_elapsed(since_s)}  {short_name(video):<24}  {stage:<18} {format_duration(took_s):>8}{left}"

    def left_s(self, at_s):
        """Return the estimated remaining time, s; None while too few jobs are finished."""
        worked_s = sum(took for job, took in self.finished if job.rule in COSTS)
        lengths = [length for video in self.videos if (length := self.length_of(video)) is not None]
        if not lengths or worked_s <= 0.0 or self.started_s is None:
            return None
        mean_s = sum(lengths) / len(lengths)
        expected_s = sum(cost(job.rule, self.length_of(job.video) or 0.0) for job, _ in self.finished if job.rule in COSTS)
        rest_s = sum(count * cost(rule, mean_s) for rule, count in self.waiting.items() if rule in COSTS)
        if expected_s < MIN_FINISHED_SHARE * (expected_s + rest_s):
            return None
        speed = worked_s / expected_s
        # Subtract the work that running jobs have already done.
        done_s = sum(min(at_s - job.started_s, speed * cost(job.rule, mean_s)) for job in self.running.values() if job.rule in COSTS)
        parallel = max((worked_s + done_s) / max(at_s - self.started_s, 1e-3), 1.0)
        return max(speed * rest_s - done_s, 0.0) / parallel


def cost(rule, length_s):
    """Return the expected duration (s) of a rule for a video of length `length_s`, on the computer on which `COSTS` was measured."""
    fixed_s, per_s = COSTS[rule]
    return fixed_s + per_s * length_s


def _stage_of(rule):
    """Return the stage of a rule; None if no stage contains the rule."""
    return next((stage for stage, rules in STAGES.items() if rule in rules), None)


def format_duration(seconds):
    """Format a duration in a suitable unit: `4 s`, `12 min`, `2.5 h`."""
    if seconds < 99.5:
        return f"{max(seconds, 1.0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def format_elapsed(seconds):
    """Format the time since the start as `m:ss` or `h:mm:ss`."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:>3}:{seconds:02}"


def short_name(video):
    """Return a video's name in at most 24 characters. The subject of your own videos is left out."""
    name = video.removeprefix(f"{SUBJECT}/")
    return name if len(name) <= 24 else f"{name[:11]}..{name[-11:]}"


def last_line(text):
    """Return the error message of a failed job from the text of its log: the last line, without time, level and error class.

    A log that does not end with an error belongs to a killed job and gives `NO_ERROR`.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    words = lines[-1].split(" ") if lines else []
    if not lines or (len(words) > 3 and words[2] in ("WARNING", "INFO")):
        return NO_ERROR
    if len(words) > 3 and words[2] == "ERROR":
        return " ".join(words[3:])
    head, colon, rest = lines[-1].partition(": ")
    return rest if colon and head.replace(".", "").isidentifier() else lines[-1]
