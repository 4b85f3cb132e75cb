"""The random numbers of PyTorch that Keras's variables do not determine."""

import keras
import numpy as np

__all__ = ["RandomState"]


class RandomState:
    """The state of PyTorch's global generators between two training steps.

    Keras's `Dropout` without a seed draws from these generators on PyTorch, and so do
    PyTorch's data loaders whenever an iteration begins. `restore` before each training
    step and `keep` after it make the steps independent of everything in between. Other
    backends have no such generators, and both methods do nothing there.

    Attributes:
        arrays: Dict from the names of the generators to their states, NumPy arrays.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def keep(self) -> None:
        """Keep the present state."""
        self.arrays = {
            name: read().numpy() for name, (read, _) in _generators().items()
        }

    def restore(self) -> None:
        """Return to the state that was kept last, if any was."""
        if not self.arrays:
            return

        import torch

        for name, (_, write) in _generators().items():
            if name in self.arrays:
                write(torch.from_numpy(self.arrays[name]))


def _generators():
    """Return the functions that read and write the state of each generator."""
    if keras.backend.backend() != "torch":
        return {}

    import torch

    generators = {"cpu": (torch.get_rng_state, torch.set_rng_state)}
    if torch.cuda.is_available():
        generators["cuda"] = (torch.cuda.get_rng_state, torch.cuda.set_rng_state)
    return generators
