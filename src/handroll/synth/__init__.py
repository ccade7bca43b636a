"""A synthetic pianist with known truth: score, hands, picture and sound."""
