"""HaMeR (Pavlakos et al. 2024, arXiv:2312.05251): MANO parameters from crops of hands, by a vision transformer."""
