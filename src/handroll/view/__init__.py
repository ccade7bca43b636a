"""What people look at: hands and notes drawn on the video, contact sheets."""
