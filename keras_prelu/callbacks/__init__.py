"""Callbacks for Keras's `fit`: exact resume, learning rate, logs and progress."""

from keras_prelu.callbacks.checkpoints import CheckpointError, Checkpoints
from keras_prelu.callbacks.fit import resumable_fit
from keras_prelu.callbacks.logs import MetricsLog, SlopesLog, TensorBoardLog
from keras_prelu.callbacks.plateau import PlateauSchedule
from keras_prelu.callbacks.preemption import PREEMPTED, Preempted
from keras_prelu.callbacks.progress import Progress
from keras_prelu.callbacks.resume import ExactResume, NotFiniteError
from keras_prelu.callbacks.same_run import SameRun

__all__ = [
    "PREEMPTED",
    "CheckpointError",
    "Checkpoints",
    "ExactResume",
    "MetricsLog",
    "NotFiniteError",
    "PlateauSchedule",
    "Preempted",
    "Progress",
    "SameRun",
    "SlopesLog",
    "TensorBoardLog",
    "resumable_fit",
]


def __dir__() -> list[str]:
    return __all__
