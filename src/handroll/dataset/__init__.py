"""The published dataset: clips, splits, Parquet shards, statistics, card and Croissant description."""
