"""The principal components of a set's colors."""

import numpy as np
from PIL import Image

from keras_prelu import data
from keras_prelu.data import color


def test_sums_do_not_depend_on_the_order_of_images():
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (h, 7, 3), "uint8") for h in rng.integers(1, 99, 12)]
    sums = [color.color_sums(array) for array in arrays]
    total = sum(sums)
    np.testing.assert_array_equal(total, sum(sums[::-1]))
    values = np.concatenate([array.reshape(-1, 3) for array in arrays]).astype(int)
    assert total[3].tolist() == [*values.sum(axis=0), len(values)]
    assert total[:3, :3].tolist() == (values.T @ values).tolist()
    # Many images of one color: the components keep all digits.
    many = color.components_of_sums(10**15 * total)
    assert many == color.components_of_sums(total)


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
    components = data.color_components(source)
    np.testing.assert_allclose(components.eigenvalues, values[::-1], rtol=1e-9)
    overlap = np.abs(np.array(components.eigenvectors) @ vectors[:, ::-1])
    np.testing.assert_allclose(overlap, np.eye(3), atol=1e-6)  # up to sign
    assert list(source.skipped) == [str(folder / "ant" / "torn.jpg")]
