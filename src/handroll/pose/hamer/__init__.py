"""HaMeR (Pavlakos et al. 2024, arXiv:2312.05251): hand poses from crops of frames, reimplemented for videos in plain PyTorch.

The implementation reads the released files and reproduces the outputs of the released code. `crop_stream` decodes a video and crops the
hands (`crops`), `network` predicts a pose for each crop, `inference` runs the network over a whole video, and `engine` transforms the
predictions to the camera frame (`cameras`). The network predicts only right hands, so crops of left hands are mirrored.
"""

VERSION = 1
"""Version of the poses, increased manually when the same video and weights give other poses."""
