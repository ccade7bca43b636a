import numpy as np

from handroll.generation.channels import to_channels, to_performance
from handroll.training_data.loader import Clips, Source


def test_channels_become_a_performance_and_again_channels(corpus):
    clip = Clips(Source(corpus / "shards"), "valid")[0]
    position, pose = clip.position[:60], clip.pose[:60]
    performance = to_performance(position, pose, 30.0, hand_scale=(0.9, 1.1))
    assert performance.bone_scale.tolist() == [0.9, 1.1]
    again = to_channels(performance, 30.0)
    np.testing.assert_allclose(again[0], position, atol=1e-2)
    np.testing.assert_allclose(again[1], pose, atol=1e-4)
