"""Fast R-CNN on PASCAL VOC 2007, as published, from a net trained on ImageNet.

    python -m training.train --config=training/recipes/detect_voc2007.py \\
        --config.model.weights=FILE --workdir=runs/voc2007

FILE holds the weights of a net that was trained by training/recipes/imagenet.py. The
proposals need OpenCV: pip install '.[detection]'.

Hardware, time and score: not run. No ImageNet weights of these nets exist yet. Its
first steps were run at full width, without such weights; see docs/benchmarks.md.
"""

from training.recipes import detect_scenes


def get_config():
    """Return the recipe: two images of 64 regions a step, 40,000 steps."""
    config = detect_scenes.get_config()
    config.model.weights = ""
    config.model.width = 1.0
    config.model.dropout = 0.5
    config.data.name = "voc/2007"
    config.data.train = "trainval"
    config.data.validation = "test"
    config.proposals.side = 0
    config.detection.shorter_side = (600, 600)
    config.detection.longest_side = 1000
    config.batch_size = 2
    config.optimizer.learning_rate = 1e-3
    config.schedule.epochs = (13,)  # of 2,506 steps: after 30,000 of 40,000
    config.epochs = 16
    config.deterministic = False
    return config
