"""Model C on ImageNet by the paper's recipe: 80 epochs, batches of 128.

    python -m training.train --config=training/recipes/imagenet_model_c.py \\
        --workdir=runs/imagenet_model_c

Hardware, time and score: not run.
"""

from training.recipes import defaults


def get_config():
    """Returns the recipe."""
    config = defaults.get_config()
    config.model.name = "model_c"
    return config
