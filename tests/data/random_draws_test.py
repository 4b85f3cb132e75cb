import numpy as np
import pytest

from keras_prelu.data import random_draws
from keras_prelu.data.color import IMAGENET_COMPONENTS
from keras_prelu.data.decoding import Header
from keras_prelu.data.windows import crop_box

COUNT = 20_000


@pytest.fixture(scope="module")
def draws():
    """20,000 draws: 100 epochs of 200 images."""
    drawn = [random_draws.draw(3, n // 200, n % 200, (10, 19)) for n in range(COUNT)]
    columns = zip(*drawn, strict=True)
    return {
        name: np.array(column)
        for name, column in zip(random_draws.Draw._fields, columns, strict=True)
    }


def test_scales_are_uniform(draws):
    counts = np.bincount(draws["shorter_side"], minlength=21)
    assert counts[:10].sum() == counts[20:].sum() == 0
    # Chi-squared of 9 degrees of freedom: above 28 in one case of 1,000. Leaving out
    # one end, or counting it half, would give more than 1,000.
    assert ((counts[10:20] - 2000) ** 2 / 2000).sum() < 28


def test_half_are_flipped(draws):
    # Four standard deviations; 0.52 would be seen.
    assert abs(draws["flip"].mean() - 0.5) < 4 * 0.5 / COUNT**0.5


def test_color_shifts_have_the_right_covariance(draws):
    matrix = IMAGENET_COMPONENTS.shift_matrix()
    shifts = draws["alpha"] @ matrix.T
    vectors = np.array(IMAGENET_COMPONENTS.eigenvectors)  # in rows
    values = np.array(IMAGENET_COMPONENTS.eigenvalues)
    expected = vectors.T @ np.diag((0.1 * 255 * values) ** 2) @ vectors
    # About 10 in each entry; the standard error is 1 %. Transposing the vectors
    # changes entries by 2 and more.
    np.testing.assert_allclose(np.cov(shifts.T), expected, atol=0.6)
    assert np.abs(shifts.mean(0)).max() < 4 * 3.3 / COUNT**0.5


def test_draws_are_independent(draws):
    columns = np.column_stack(
        [draws["shorter_side"], draws["position"], draws["flip"], draws["alpha"]]
    )
    correlations = np.corrcoef(columns.T) - np.eye(7)
    assert np.abs(correlations).max() < 4.5 / COUNT**0.5
    for lag in (1, 200):  # the next image, and the same one in the next epoch
        after = [np.corrcoef(c[:-lag], c[lag:])[0, 1] for c in columns.T]
        assert np.abs(after).max() < 4.5 / COUNT**0.5


def test_every_pixel_is_seen_and_all_crops_are_equally_likely(draws):
    tops = np.zeros(6, int)
    seen = np.zeros((5, 7), bool)
    for position in draws["position"][:3000]:
        # Resized from 5 x 7 to 10 x 14; crops of 5: 6 x 10 positions.
        top, left, height, width = crop_box(Header(5, 7, True), 10, position, 5)
        assert (height, width) == (2.5, 2.5)
        tops[round(top * 2)] += 1
        covers = np.s_[int(top) : int(np.ceil(top + 2.5))]
        seen[covers, int(left) : int(np.ceil(left + 2.5))] = True
    assert seen.all()
    # Chi-squared of 5 degrees of freedom; rounding positions would halve the ends.
    assert ((tops - 500) ** 2 / 500).sum() < 21


def test_draws_are_functions_of_seed_epoch_and_index():
    def alpha(*key):
        return random_draws.draw(*key, (10, 19)).alpha

    assert alpha(1, 2, 3) == alpha(1, 2, 3)
    keys = [(1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 2, 3), (1, 2, 4), (1, 3, 3), (0, 0, 0)]
    assert len({alpha(*key) for key in keys}) == len(keys)


def test_orders_are_permutations_that_differ():
    first, second, other = (
        random_draws.epoch_order(50, *key) for key in ((0, 0), (0, 1), (1, 0))
    )
    for order in (first, second, other):
        assert sorted(order) == list(range(50))
    assert (first != second).any() and (first != other).any()
    assert (first != np.arange(50)).any()


def test_orders_are_uniform():
    counts = np.zeros((6, 6))
    for epoch in range(600):
        counts[np.arange(6), random_draws.epoch_order(6, 0, epoch)] += 1
    assert ((counts - 100) ** 2 / 100).sum() < 53  # 25 degrees of freedom


def test_batches_concatenate_epochs():
    steps = [random_draws.epochs_and_indices(step, 4, 10, seed=0) for step in range(5)]
    epochs = np.concatenate([step[0] for step in steps])
    indices = np.concatenate([step[1] for step in steps])
    assert epochs.tolist() == [0] * 10 + [1] * 10
    for epoch in range(2):
        expected = random_draws.epoch_order(10, 0, epoch)
        assert (indices[10 * epoch : 10 * epoch + 10] == expected).all()
