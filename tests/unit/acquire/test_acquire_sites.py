import pytest

from handroll.acquire.sites import address_problem, same_video_key, site_of, without_credentials

ID = "dQw4w9WgXcQ"


@pytest.mark.parametrize(
    ("source", "site"),
    [
        (f"https://www.youtube.com/watch?v={ID}", "youtube"),
        (f"https://youtu.be/{ID}", "youtube"),
        (f"https://M.YouTube.com/watch?v={ID}", "youtube"),
        ("https://www.bilibili.com/video/BV13x41117TL", "bilibili"),
        ("https://b23.tv/abc", "bilibili"),
        ("https://notyoutube.com/x", "other_site"),
        ("https://youtube.com.example.org/x", "other_site"),
        ("http://[::1", "other_site"),
        ("/data/youtube.com/x.mp4", None),
    ],
)
def test_sites(source, site):
    assert site_of(source) == site


@pytest.mark.parametrize(
    "addresses",
    [
        [
            f"https://www.youtube.com/watch?v={ID}",
            f"http://youtu.be/{ID}?t=1",
            f"https://www.youtube.com/shorts/{ID}",
            f"https://youtube.com/watch?list=PL&v={ID}&index=3",
            f"https://www.youtube-nocookie.com/embed/{ID}",
        ],
        [
            "https://www.bilibili.com/video/BV13x41117TL/?spm_id_from=333",
            "https://m.bilibili.com/video/bv13x41117TL",
            "https://www.bilibili.com/video/BV13x41117TL?p=1",
        ],
        ["https://x.org/v/1", "http://www.x.org/v/1/", "https://X.org:443/v/1#t=3", "https://x.org/v/1?utm_source=mail"],
        ["https://x.org/v?b=2&a=1", "https://x.org/v?a=1&b=2"],
    ],
)
def test_addresses_of_one_video(addresses):
    assert len({same_video_key(address) for address in addresses}) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"https://youtu.be/{ID}", f"https://youtu.be/{ID.lower()}"),
        ("https://www.bilibili.com/video/BV13x41117TL?p=1", "https://www.bilibili.com/video/BV13x41117TL?p=2"),
        ("https://x.org/v?id=1", "https://x.org/v?id=2"),
        ("https://x.org:8080/v", "https://x.org/v"),
        ("https://www.youtube.com/@ann", "https://www.youtube.com/@bob"),
        ("/data/a.mp4", "/data/b.mp4"),
        ("http://[::1", "http://[::2"),
    ],
)
def test_addresses_of_two_videos(first, second):
    assert same_video_key(first) != same_video_key(second)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("https://x.org/v", None),
        ("HTTP://127.0.0.1:8080/v.mp4", None),
        ("file:///etc/passwd", "found the scheme 'file'"),
        ("ftp://me:pass@x.org/v.mp4", "found the scheme 'ftp'"),
        ("https:///v", "found a URL without a host"),
        ("http://[::1", "cannot be parsed"),
        ("http://host:port/x.mp4", "cannot be parsed"),
    ],
)
def test_only_http_addresses_with_a_host_are_downloaded(address, problem):
    found = address_problem(address)
    assert found is None if problem is None else problem in found and "pass@" not in found


def test_credentials_are_removed():
    assert without_credentials("https://me:pass@x.org:8080/v?a=1") == "https://x.org:8080/v?a=1"
    assert without_credentials("/data/me@home.mp4") == "/data/me@home.mp4"
