"""`handroll run`: the workflow on your own videos, with one line for each stage and a report at the end."""
