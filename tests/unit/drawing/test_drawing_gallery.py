"""The page of verdicts: complete, and safe whatever a site calls its videos."""

from html.parser import HTMLParser

from handroll.config.pipeline import Config
from handroll.drawing.gallery import gallery_html
from handroll.screening.verdict import judge

THRESHOLDS = Config().screening.model_dump() | {"motion_without_audio": True}


def listed(video, measured=(), source="one.mp4", override=None, thumbnails=None, title=None):
    verdict = judge(measured, THRESHOLDS, override).to_dict()
    return {"subject": "anna", "video": video, "title": title, "source": source, "thumbnails": thumbnails, **verdict}


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_every_video_with_verdict_reasons_and_scores():
    short = {"screening": {"duration": {"duration_s": 4.5}}}
    silent = {"screening": {"audio": {"has_audio": False, "sound_s": 0.0}}}
    videos = [listed("good", thumbnails="anna/good/thumbnails.jpg", title="A Tune"), listed("short", [short]), listed("silent", [silent])]
    page = Page(gallery_html([*videos, listed("kept", [short], override="accept")]))
    assert [article["class"] for article in page.of("article")] == ["accepted", "rejected", "motion", "accepted"]
    assert [article["data-reasons"] for article in page.of("article")] == ["", "too_short", "no_audio", ""]
    assert [image["src"] for image in page.of("img")] == ["anna/good/thumbnails.jpg"]
    assert "duration_s 4.5" in page.text and "min_s 8" in page.text and "accepted by hand" in page.text and "A Tune" in page.text
    # In words: what is wrong and what to do, with settings marked as code.
    assert "shorter than the minimum duration: give a longer video or lower screening.duration.min_s." in page.text
    assert "2 accepted, 1 motion only, 1 rejected" in page.text


def test_text_from_outside_stays_text():
    evil = '"><script>alert(1)</script>'
    page = Page(gallery_html([listed("x", source=f"https://example.org/{evil}", title=evil), listed("y", source=f"javascript:{evil}")]))
    assert len(page.of("script")) == 1
    assert [link["href"] for link in page.of("a")] == [f"https://example.org/{evil}"]
