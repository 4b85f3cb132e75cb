"""A small model A on the built-in shapes.

    python training/train.py --config=training/recipes/quickstart.py \\
        --workdir=runs/quickstart
"""

from recipes import defaults


def get_config():
    """Returns the recipe."""
    config = defaults.get_config()
    config.model.width = 1 / 16
    config.model.dropout = 0.0
    config.data.name = "prelu_shapes"
    config.data.image_size = 64
    config.data.scale = (64, 80)
    config.data.eval_scale = 68
    config.schedule.name = "fixed"
    config.schedule.epochs = (14, 17)
    config.batch_size = 64
    config.epochs = 18
    config.deterministic = True
    return config
