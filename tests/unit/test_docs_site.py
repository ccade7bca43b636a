"""The documentation site builds without a warning and loads nothing from the network."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_site_builds_strictly_and_is_self_contained(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False, **streams)
    assert done.returncode == 0, done.stdout
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        text = page.read_text(encoding="utf-8")
        # Links may lead elsewhere; scripts, styles, fonts and images may not.
        assert re.findall(r'(?:<script[^>]*\ssrc|<link[^>]*\shref|<img[^>]*\ssrc)="(?:https?:)?//[^"]*"', text) == [], page.name
    assert "handroll.motion.gaps" in (tmp_path / "site" / "api" / "motion.html").read_text(encoding="utf-8")
