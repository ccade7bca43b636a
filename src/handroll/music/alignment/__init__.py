"""Whether notes match a recording, and how their times map onto it."""
