import numpy as np
import pytest
from PIL import Image

from handroll.drawing.thumbnails import COUNT, HEIGHT_PX, save_thumbnails


@pytest.mark.parametrize(("count", "shown"), [(1, [0]), (3, [0, 1, 2]), (COUNT * 10 - 9, list(range(0, 70, 10)))])
def test_a_strip_shows_pictures_from_the_whole_video(tmp_path, count, shown):
    images = [np.full((180, 320, 3), 3 * k, np.uint8) for k in range(count)]
    save_thumbnails(images, tmp_path / "strip.jpg")
    strip = np.asarray(Image.open(tmp_path / "strip.jpg")).astype(int)
    assert strip.shape == (HEIGHT_PX, 160 * len(shown), 3)
    np.testing.assert_allclose(strip[45, 80::160, 0], [3 * k for k in shown], atol=2)
