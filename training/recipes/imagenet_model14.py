"""The 14-layer net on ImageNet with the settings of Table 2: 75 epochs.

The shorter side is 256 in training and in test.

    python -m training.train --config=training/recipes/imagenet_model14.py \\
        --workdir=runs/imagenet_model14

Hardware, time and score: not run.
"""

from training.recipes import defaults


def get_config():
    """Returns the recipe."""
    config = defaults.get_config()
    config.model.name = "model14"
    config.data.scale = (256, 256)
    config.epochs = 75
    return config
