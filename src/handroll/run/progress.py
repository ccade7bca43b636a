"""Progress of a workflow: one line for each video and stage, with its duration and an estimate of the remaining time.

The relative costs of the rules are known (`COSTS`). The speed of the computer and the number of parallel jobs are measured on
finished jobs, so there is no estimate before the first one.
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
"""The stages of a video and their rules, in order. A stage ends with its last rule. Each other rule is a stage of its own."""

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
"""Cost of each rule: processor time for any video (s), and for a second of video at 30 frames/s (s). Measured in `results/timings`
of a 1080p30 and a 720p60 video. Only the ratios matter, because the speed of the computer is measured during the run."""

MIN_FINISHED_SHARE = 0.05
"""Minimum share of the expected work that must be finished before there is an estimate."""

NO_ERROR = "its process ended without an error message; it may have been killed, for example because of too little memory"
"""Reason of a failed job whose log contains no error."""


@dataclass
class Job:
    """A running or finished job: its rule, its video (empty for jobs of no video), its start (s) and its log."""

    rule: str
    video: str
    started_s: float
    log: str = ""


@dataclass
class Progress:
    """Progress of a workflow, from its events.

    Parameters
    ----------
    length_of : function of str to float or None
        Length of a video (`subject/name`) (s at 30 frames/s); 0 if its file is rejected, so that its jobs do nothing; None while
        unknown.
    """

    length_of: object
    waiting: dict = field(default_factory=dict)
    running: dict = field(default_factory=dict)
    finished: list = field(default_factory=list)
    started_s: float | None = None
    videos: list = field(default_factory=list)

    def plan(self, counts, at_s):
        """Record the start of the workflow, with the number of jobs of each rule."""
        self.started_s = at_s
        self.waiting = {rule: count for rule, count in counts.items() if rule != "total"}

    def start(self, identity, job):
        """Record the start of a job."""
        self.running[identity] = job
        if job.video and job.video not in self.videos:
            self.videos.append(job.video)

    def finish(self, identity, at_s):
        """Record the end of a job; return the line of the stage that it completes, or None."""
        job = self.running.pop(identity, None)
        if job is None:
            return None
        self.waiting[job.rule] = max(self.waiting.get(job.rule, 0) - 1, 0)
        self.finished.append((job, at_s - job.started_s))
        stage = _stage_of(job.rule)
        if stage is None and not job.log:
            # A target without a script, such as `all`.
            return None
        rules = STAGES.get(stage, (job.rule,))
        if job.rule != rules[-1] or (job.video and self.length_of(job.video) == 0.0):
            return None
        took_s = sum(took for done, took in self.finished if done.rule in rules and done.video == job.video)
        return self.line(job.video, stage or job.rule, took_s, at_s)

    def fail(self, identity):
        """Record a failed job, after which the later jobs of its video do not run; return it, or None if it is unknown."""
        job = self.running.pop(identity, None)
        if job is not None:
            order = [rule for rules in STAGES.values() for rule in rules]
            lost = order[order.index(job.rule) :] if job.video and job.rule in order else [job.rule]
            for rule in lost:
                self.waiting[rule] = max(self.waiting.get(rule, 0) - 1, 0)
        return job

    def line(self, video, stage, took_s, at_s):
        """Format the line of a finished stage."""
        left = self.left_s(at_s)
        left = f"   about {format_duration(left)} left" if left else ""
        since_s = 0.0 if self.started_s is None else at_s - self.started_s
        return f"{clock(since_s)}  {short(video):<24}  {stage:<18} {format_duration(took_s):>8}{left}"

    def left_s(self, at_s):
        """Estimate the remaining time (s); None while there are too few finished jobs."""
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
        # Work that running jobs have already done does not remain.
        done_s = sum(min(at_s - job.started_s, speed * cost(job.rule, mean_s)) for job in self.running.values() if job.rule in COSTS)
        parallel = max((worked_s + done_s) / max(at_s - self.started_s, 1e-3), 1.0)
        return max(speed * rest_s - done_s, 0.0) / parallel


def cost(rule, length_s):
    """Expected duration of a rule for a video of a length (s), on the computer on which `COSTS` was measured (s)."""
    fixed_s, per_s = COSTS[rule]
    return fixed_s + per_s * length_s


def _stage_of(rule):
    return next((stage for stage, rules in STAGES.items() if rule in rules), None)


def format_duration(seconds):
    """Format a duration in a suitable unit: `4 s`, `12 min`, `2.5 h`."""
    if seconds < 99.5:
        return f"{max(seconds, 1.0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def clock(seconds):
    """Format the time since the start as `m:ss` or `h:mm:ss`."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:>3}:{seconds:02}"


def short(video):
    """Shorten a video's name to at most 24 characters; your own videos lose their subject."""
    name = video.removeprefix(f"{SUBJECT}/")
    return name if len(name) <= 24 else f"{name[:11]}..{name[-11:]}"


def last_line(text):
    """Extract the error of a failed job from its log: the last line, without time, level and class of the error.

    If the log does not end with an error, the job was killed: `NO_ERROR`.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    words = lines[-1].split(" ") if lines else []
    if not lines or (len(words) > 3 and words[2] in ("WARNING", "INFO")):
        return NO_ERROR
    if len(words) > 3 and words[2] == "ERROR":
        return " ".join(words[3:])
    head, colon, rest = lines[-1].partition(": ")
    return rest if colon and head.replace(".", "").isidentifier() else lines[-1]
