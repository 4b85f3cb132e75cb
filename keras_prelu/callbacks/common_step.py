"""The step that all workers of a run resume from."""

from absl import logging

from keras_prelu import distribution
from keras_prelu.callbacks.checkpoints import CheckpointError, Checkpoints

__all__ = ["newest_common_step"]

# The number of steps that each worker reports: its newest checkpoints.
_STEPS_REPORTED = 4


def newest_common_step(
    checkpoints: Checkpoints, strategy: distribution.Strategy | None
) -> int | None:
    """Return the newest step that all workers have saved, or None at the start.

    All workers must call it.

    Args:
        checkpoints: The checkpoints of this worker.
        strategy: The strategy of the run, or None for one process.

    Raises:
        CheckpointError: A worker has lost checkpoints that others have.
    """
    try:
        steps, flaw = checkpoints.good_steps()[-_STEPS_REPORTED:], None
    except CheckpointError as error:
        steps, flaw = [], error
    is_late = bool(steps) and not checkpoints.state(steps[-1])["is_first"]
    padding = [-1] * (_STEPS_REPORTED - len(steps))
    report = [flaw is not None, is_late, *steps, *padding]
    reports = distribution.gather(strategy, report)
    if flaw is not None:
        raise flaw
    steps_of = [{int(step) for step in row if step >= 0} for row in reports[:, 2:]]
    common = set.intersection(*steps_of)
    listing = "; ".join(
        f"worker {number}: {', '.join(map(str, sorted(steps))) or 'none'}"
        for number, steps in enumerate(steps_of)
    )
    if not common and reports[:, :2].any():
        raise CheckpointError(
            "All workers must have a checkpoint of the same step. To begin again, "
            f"delete the checkpoints of all workers. Received: steps of {listing}"
        )
    if not common and any(steps_of):
        logging.warning(
            "BEGINS AGAIN at step 0: not all workers finished their first save "
            "(steps of %s).",
            listing,
        )
    return max(common, default=None)
