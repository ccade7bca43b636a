"""Pose engines, which estimate MANO parameters from detections, and the refinement of poses over time."""
