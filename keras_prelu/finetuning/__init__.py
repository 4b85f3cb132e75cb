"""Fine-tuning a trained net on other data, in two stages."""

from keras_prelu.finetuning.head import with_new_head
from keras_prelu.finetuning.tuning import FineTuned, fine_tune
