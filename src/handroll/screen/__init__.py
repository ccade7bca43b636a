"""Which videos and clips are good enough: one module a criterion, measure then decide."""
