"""The dataset that tests share."""

from support.dataset_fixtures import clips, dataset, records, splits, statistics_of  # noqa: F401
