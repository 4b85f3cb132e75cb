"""Means over seeds, and whether a difference between them supports the paper."""

import statistics

import numpy as np
from scipy import stats

AS_IN_THE_PAPER, OPPOSITE = "as in the paper", "opposite"
CANNOT_TELL, NOT_TESTED = "cannot tell", "not tested"


def mean_and_spread(values):
    """Return the mean of some values and their standard deviation."""
    return float(np.mean(values)), float(np.std(values, ddof=1))


def compare(claim, ours, other, expected):
    """Test whether the difference of two means has the sign that the paper claims.

    The 95 % confidence interval of the difference is Welch's, which does not assume
    equal variances. If it contains 0, the verdict is "cannot tell", which never counts
    in the paper's favor.

    Args:
        claim: The claim of the paper, in words.
        ours: List of values, one for each seed.
        other: The values to compare with.
        expected: -1 if the paper says that `ours` is lower, 1 if higher, 0 if equal.
            Failing to see a difference is no evidence for equality.

    Returns:
        A dict of the claim, the difference, its interval and the verdict.
    """
    test = stats.ttest_ind(ours, other, equal_var=False)
    low, high = test.confidence_interval(0.95)
    if not low <= high:  # NaN: the values of neither arm vary
        low = high = statistics.mean(ours) - statistics.mean(other)
    verdict = CANNOT_TELL
    if low > 0 or high < 0:
        agrees = expected and (low > 0) == (expected > 0)
        verdict = AS_IN_THE_PAPER if agrees else OPPOSITE
    return {
        "claim": claim,
        "difference": statistics.mean(ours) - statistics.mean(other),
        "low": low,
        "high": high,
        "verdict": verdict,
    }


def band(axis, x, curves, **arguments):
    """Draw the mean of some curves, with a band of one standard deviation."""
    pairs = [mean_and_spread(values) for values in zip(*curves, strict=True)]
    (line,) = axis.plot(x, [mean for mean, _ in pairs], **arguments)
    axis.fill_between(
        x,
        [mean - spread for mean, spread in pairs],
        [mean + spread for mean, spread in pairs],
        color=line.get_color(),
        alpha=0.2,
        linewidth=0,
    )
