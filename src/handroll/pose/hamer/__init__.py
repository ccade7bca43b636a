"""HaMeR (Pavlakos et al. 2024, arXiv:2312.05251): hands from crops of frames, written anew for videos in plain PyTorch.

It reads the released files and gives the released code's numbers. `crops` cuts hands out of frames, `network` looks at them, and
`cameras` puts what it sees before the frame's camera. All of the network is for right hands: left ones come mirrored.
"""
