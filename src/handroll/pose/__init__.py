"""From detections to MANO parameters: one interface, one module an engine."""
