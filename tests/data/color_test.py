"""The principal components of a set's colors."""

import numpy as np
from PIL import Image

from keras_prelu import data


def test_color_components_are_those_of_all_pixels(folder):
    (folder / "ant" / "torn.jpg").write_bytes(b"torn")
    source = data.from_directory(folder)
    pixels = np.concatenate(
        [
            np.asarray(Image.open(path)).reshape(-1, 3) / 255
            for path in source.paths
            if "torn" not in path
        ]
    )
    values, vectors = np.linalg.eigh(np.cov(pixels.T, bias=True))
    color = data.color_components(source)
    np.testing.assert_allclose(color.eigenvalues, values[::-1], rtol=1e-9)
    overlap = np.abs(np.array(color.eigenvectors) @ vectors[:, ::-1])
    np.testing.assert_allclose(overlap, np.eye(3), atol=1e-6)  # up to sign
    assert list(source.skipped) == [str(folder / "ant" / "torn.jpg")]
