"""How right is handroll? Renders performances with known truth and compares each step's output with it.

    python benchmarks/accuracy.py --seeds 1001 1002 1003 1004 --seconds 32

Seeds choose music, hands, camera, light and noise; those of development are below 1000. For each performance and in
total: both hands found, left/right right, landmark error as a share of palm width, joint error after Procrustes
alignment without scale, note onset F1, and states at the planted gaps. With --out, the same as JSON.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from handroll.camera import hamer_camera
from handroll.detect.mediapipe import detect_hands
from handroll.hand.skeleton import HANDS, JOINTS, LANDMARK_OF_JOINT
from handroll.metrics.alignment import procrustes
from handroll.metrics.transcription import note_scores
from handroll.motion.clean import CleanSettings, clean_motion
from handroll.music.audio import extract_audio, load_audio
from handroll.music.transcribe import transcribe
from handroll.pose.engine import fit_pose
from handroll.schema import State
from handroll.synth.pianist import make_video
from handroll.synth.truth import read_truth
from handroll.video.frames import read_frames
from handroll.video.probe import probe
