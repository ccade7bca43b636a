"""HaMeR: one RGB crop of a hand gives MANO's rotations, shape and a weak-perspective camera.

G. Pavlakos et al., "Reconstructing Hands in 3D with Transformers", CVPR 2024, arXiv:2312.05251. Only the inference,
written anew; the weights are the released ones, which each user fetches.
"""
