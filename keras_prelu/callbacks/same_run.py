"""A run goes on with the configuration and the data that it began with."""

import json

import keras

from keras_prelu.callbacks.checkpoints import CheckpointError
from keras_prelu.data.fingerprints import differences


class SameRun(keras.callbacks.Callback):
    """Refuses to resume a run that had another configuration or other data.

    `ExactResume` keeps the description with every checkpoint.

    Args:
        run: Dict that `json` can write: all that makes the run what it is, such as its
            seed and the fingerprints of its data.

    Examples:
        >>> source = keras_prelu.data.from_directory("photos")
        >>> same_run = keras_prelu.callbacks.SameRun(
        ...     {"seed": 0, "data": source.fingerprint()})
    """

    def __init__(self, run):
        super().__init__()
        self.run = json.loads(json.dumps(run))  # as it will be read back

    def get_state(self):
        """Returns the description."""
        return self.run

    def set_state(self, state):
        """Compares the description in a checkpoint with that of this run."""
        changed = differences(state, self.run)
        if changed:
            raise CheckpointError(
                "The configuration and the data must be those of the checkpoint; begin "
                f"another run in another folder. Received: {'; '.join(changed)}"
            )
