"""Callbacks of Keras's `fit`: exact resume, the learning rate, logs and progress."""

from keras_prelu import on_use
from keras_prelu.callbacks.checkpoints import CheckpointError, Checkpoints
from keras_prelu.callbacks.fit import resumable_fit
from keras_prelu.callbacks.logs import MetricsLog, SlopesLog, TensorBoardLog
from keras_prelu.callbacks.plateau import PlateauSchedule
from keras_prelu.callbacks.progress import Progress
from keras_prelu.callbacks.same_run import SameRun

# They need TensorFlow.
__getattr__, __dir__ = on_use.attach(
    __name__,
    names={"resume": ("PREEMPTED", "ExactResume", "NotFiniteError", "Preempted")},
)
