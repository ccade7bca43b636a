"""Accuracy of every stage of the pipeline, measured on simulated performances with known ground truth."""
