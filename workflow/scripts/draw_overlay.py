"""Draw the hands: reads the video, probe.json, audio, motion and notes; writes overlay.mp4 and contact_sheet.png.

A video that cannot be read gives a slate that says why.
"""

import json
from pathlib import Path

from handroll.camera import Camera
from handroll.logs import step_log
from handroll.music.audio import load_audio
from handroll.schema import MOTION, NOTES, by_frame, read_table
from handroll.view.contact_sheet import draw_contact_sheet
from handroll.view.overlay import draw_overlay, draw_slate


def main(snakemake):
    """Overlay and contact sheet, or a slate."""
