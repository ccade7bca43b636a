"""What people look at: hands drawn on the video, the notes on a keyboard, contact sheets."""
