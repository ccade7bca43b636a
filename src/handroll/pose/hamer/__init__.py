"""HaMeR (Pavlakos et al. 2024, arXiv:2312.05251): hands from crops of frames, written anew for videos in plain PyTorch.

It reads the released files and gives the released code's numbers. `feed` decodes a video and cuts hands out of its frames (`crops`),
`network` looks at them, `inference` runs it over a whole video, and `engine` puts what it saw before the video's camera (`cameras`).
All of the network is for right hands: left ones come mirrored.
"""

VERSION = 1
"""Raised by hand when the same video and weights give other poses."""
