"""A small model A on the built-in shapes.

    python training/train.py --config=training/recipes/quickstart.py \\
        --workdir=runs/quickstart

The score of one run of this command: top-1 error 13.90 %, top-5 error 2.80 % on the
2,000 validation pictures (centre crop), on two CPU cores that other work shared. The
time on idle cores was not measured. The aim, 10 % in four minutes, is open.
"""

from recipes import defaults


def get_config():
    """Returns the recipe."""
    config = defaults.get_config()
    config.model.width = 1 / 16
    config.model.dropout = 0.0  # a net this small does not overfit in 16 epochs
    config.data.name = "prelu_shapes"
    config.data.image_size = 48
    config.data.scale = (48, 60)
    config.data.eval_scale = 54
    config.optimizer.learning_rate = 3e-2
    config.optimizer.clip_norm = 1.0
    config.schedule.name = "fixed"
    config.schedule.factor = 0.3
    config.schedule.epochs = (9, 13, 15)
    config.batch_size = 64
    config.epochs = 16
    config.deterministic = True
    return config
