"""Joint names and topology of a hand: MANO's 16 joints, 5 fingertips, and MediaPipe's 21 landmarks.

Every joint axis in handroll has the order of `JOINTS`: MANO's 16 joints, then the five fingertips.
"""

HANDS = ("left", "right")
"""Order of every `hand` axis."""

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
"""Order of every `finger` axis. Piano fingering numbers these fingers 1 to 5."""

MANO_JOINTS = (
    "wrist",
    *("index1", "index2", "index3"),
    *("middle1", "middle2", "middle3"),
    *("pinky1", "pinky2", "pinky3"),
    *("ring1", "ring2", "ring3"),
    *("thumb1", "thumb2", "thumb3"),
)
"""The 16 joints of MANO (Romero et al. 2017, doi:10.1145/3130800.3130883), in its order."""

JOINTS = (*MANO_JOINTS, *(f"{finger}_tip" for finger in FINGERS))
"""The 16 MANO joints, then the tips of thumb, index, middle, ring and pinky: 21 names."""

N_JOINTS = len(JOINTS)
"""Number of `JOINTS`: 21."""

N_ROTATIONS = len(MANO_JOINTS)
"""Number of joints with a rotation: 16. Fingertips have none."""

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14, 15, 3, 6, 12, 9)
"""Index of the parent of each of the 21 `JOINTS`; -1 for the wrist. Every parent index is below 16, so parents have rotations."""

JOINT_OF_LANDMARK = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
"""Index in `JOINTS` of each of MediaPipe's 21 hand landmarks."""

LANDMARK_OF_JOINT = tuple(JOINT_OF_LANDMARK.index(j) for j in range(N_JOINTS))
"""Index of the MediaPipe landmark of each of the 21 `JOINTS`."""

BONES = tuple((parent, joint) for joint, parent in enumerate(PARENTS) if parent >= 0)
"""Bones for drawing: pairs (parent, child) of indices in `JOINTS`."""

CHAINS = {finger: tuple(JOINTS.index(f"{finger}{n}") for n in (1, 2, 3)) + (JOINTS.index(f"{finger}_tip"),) for finger in FINGERS}
"""Indices in `JOINTS` of the joints of each finger, from its base to its tip."""

TIPS = tuple(JOINTS.index(f"{finger}_tip") for finger in FINGERS)
"""Indices in `JOINTS` of the five fingertips, from thumb to pinky."""

KNUCKLES = tuple(JOINTS.index(f"{finger}1") for finger in FINGERS[1:])
"""Indices in `JOINTS` of the knuckles (MCP joints) of index, middle, ring and pinky."""
