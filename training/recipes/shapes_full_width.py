"""Model A at full width on the built-in shapes, to see whether it learns.

    python -m training.train --config=training/recipes/shapes_full_width.py \\
        --workdir=runs/shapes_full_width

Model, optimizer and dropout are the paper's, and no gradient is clipped. The images are
small (112x112, so that the last feature map has 7x7 cells) and the crops keep most of
the shape, since the question is whether the model learns, not how well.

Hardware: two cores of an AMD EPYC server with AVX-512, no GPU. Time: 2.8 s per step.
The score: still at guessing when it was stopped, after 500 of its 1,500 steps; see
docs/benchmarks.md.
"""

from training.recipes import defaults


def get_config():
    """Return the recipe."""
    config = defaults.get_config()
    config.data.name = "prelu_shapes"
    config.data.image_size = 112
    config.data.scale = (112, 140)
    config.data.eval_scale = 126
    config.schedule.name = "fixed"
    config.batch_size = 32
    config.steps_per_epoch = 125  # half of the training images
    config.epochs = 12
    return config
