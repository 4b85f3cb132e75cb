"""A small model A on the built-in shapes.

    python training/train.py --config=training/recipes/quickstart.py \\
        --workdir=runs/quickstart

Hardware: two cores of an AMD EPYC server (Zen 4), no GPU. Time: `make demo`, which runs
this, draws the data set, evaluates and exports, took 2:58 minutes. The score: top-1
error 2.10 %, top-5 error 0.10 % on the 2,000 validation pictures (centre crop); the
weights of that run come with the package as `weights="shapes"`. On another such server,
without AVX-512, whose rounding differs, the same command gave 5.50 % and 1.05 %.
"""

from recipes import defaults


def get_config():
    """Returns the recipe."""
    config = defaults.get_config()
    config.model.width = 1 / 16
    config.model.dropout = 0.0  # a net this small underfits in 15 epochs
    config.data.name = "prelu_shapes"
    config.data.image_size = 48
    config.data.scale = (48, 60)
    config.data.eval_scale = 54
    config.schedule.name = "fixed"
    config.schedule.factor = 0.3
    config.schedule.epochs = (9, 12, 14)
    config.batch_size = 32
    config.epochs = 15
    config.deterministic = True
    return config
