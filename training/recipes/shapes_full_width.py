"""Model A at full width on the built-in shapes, to see whether it learns.

    python -m training.train --config=training/recipes/shapes_full_width.py \\
        --workdir=runs/shapes_full_width

Model, momentum, decay and dropout are the paper's, and no gradient is clipped. The rate
is 0.003: at the paper's 0.01 the loss did not leave guessing in 500 steps. The images
are small (112x112, so that the last feature map has 7x7 cells) and the crops keep most
of the shape, since the question is whether the model learns, not how well.

Hardware: two cores of an AMD EPYC server with AVX-512, no GPU. Time: 1.6 s per step.
The score: 15.8 % top-1 error and a training loss of 1.13 after 1,000 of 1,500 steps,
where it was stopped; see docs/benchmarks.md.
"""

from training.recipes import defaults


def get_config():
    """Return the recipe."""
    config = defaults.get_config()
    config.data.name = "prelu_shapes"
    config.data.image_size = 112
    config.data.scale = (112, 140)
    config.data.eval_scale = 126
    config.optimizer.learning_rate = 0.003
    config.schedule.name = "fixed"
    config.dtype = "mixed_bfloat16"
    config.batch_size = 32
    config.steps_per_epoch = 125  # half of the training images
    config.epochs = 12
    return config
