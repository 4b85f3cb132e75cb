"""The 30-layer net on ImageNet of section 2.3 with the settings of Table 2: 75 epochs.

The shorter side is 256 in training and in test.

    python -m training.train --config=training/recipes/imagenet_model30.py \\
        --workdir=runs/imagenet_model30

Hardware, time and score: not run.
"""

from training.recipes import defaults


def get_config():
    """Returns the recipe."""
    config = defaults.get_config()
    config.model.name = "model30"
    config.model.activation = "relu"
    config.data.scale = (256, 256)
    config.epochs = 75
    return config
