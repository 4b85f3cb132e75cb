"""Fine-tuning a trained net on other data, in two stages."""

from keras_prelu import on_use
from keras_prelu.finetuning.head import with_new_head

# They need TensorFlow.
__getattr__, __dir__ = on_use.attach(
    __name__, names={"tuning": ("FineTuned", "fine_tune")}
)
