"""Fine-tuning of a trained network on other data, in two stages."""

from keras_prelu.finetuning.head import with_new_head
from keras_prelu.finetuning.tuning import FineTuned, fine_tune

__all__ = ["FineTuned", "fine_tune", "with_new_head"]


def __dir__() -> list[str]:
    return __all__
