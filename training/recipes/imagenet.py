"""The paper's models on ImageNet: 80 epochs, or 75 for the 14 and 30 layer models.

    python -m training.train --config=training/recipes/imagenet.py:model_a \\
        --workdir=runs/imagenet_model_a

The word after the colon names the model: model_a, model_b or model_c, trained with the
scale jitter of section 3; or model14 or model30 with the settings of Table 2, whose
shorter side is 256 in training and testing. model30 has ReLU, as in section 2.3.

Hardware, time and score of each of the five: not run.
"""

from training.recipes import defaults

MODELS = ("model_a", "model_b", "model_c", "model14", "model30")


def get_config(model="model_a"):
    """Return the recipe of a model."""
    if model not in MODELS:
        raise ValueError(
            f"Argument `--config` must name one of {', '.join(MODELS)} after a colon. "
            f"Received: --config=imagenet.py:{model}"
        )
    config = defaults.get_config()
    config.model.name = model
    if model in ("model14", "model30"):
        config.data.scale = (256, 256)
        config.epochs = 75
    if model == "model30":
        config.model.activation = "relu"
    return config
