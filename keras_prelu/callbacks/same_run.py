"""A check that a run resumes with the configuration and data that it began with."""

import json
from typing import Any

import keras

from keras_prelu.callbacks.checkpoints import CheckpointError
from keras_prelu.data.fingerprints import differences

__all__ = ["SameRun"]


class SameRun(keras.callbacks.Callback):
    """Refuses to resume a run that had another configuration or other data.

    `ExactResume` keeps the description with every checkpoint.

    Args:
        run: Dict that `json` can write. It describes everything that determines the
            run, such as its seed and the fingerprints of its data.

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> same_run = keras_prelu.callbacks.SameRun(
        ...     {"seed": 0, "data": source.fingerprint()})
    """

    def __init__(self, run: dict[str, Any]) -> None:
        super().__init__()
        self.run = json.loads(json.dumps(run))  # tuples become lists, as in the file

    def get_state(self) -> dict[str, Any]:
        """Return the description."""
        return self.run

    def set_state(self, state: dict[str, Any]) -> None:
        """Compare the description in a checkpoint with this run's description."""
        changed = differences(state, self.run)
        if changed:
            raise CheckpointError(
                "The configuration and the data must be the same as in the checkpoint: "
                "use another folder for another run. "
                f"Received: {'; '.join(changed)}"
            )
