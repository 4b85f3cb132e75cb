"""Fast R-CNN on your own annotated images, from the quickstart's net.

    python -m training.train --config=training/recipes/detect_directory.py \\
        --config.data.path=DIR --workdir=runs/detector

DIR is a folder of images and Pascal XML files, or a CSV file of boxes, and a fifth of
the images is set aside for validation. Or DIR holds two folders, `train` and
`validation`, of images and Pascal XML files.

The proposals need OpenCV: pip install '.[detection]'.

Hardware, time and score: they depend on the images, and were not measured.
"""

from training.recipes import detect_scenes


def get_config():
    """Return the recipe: the one of the scenes, for the data in `config.data.path`."""
    config = detect_scenes.get_config()
    config.data.name = ""
    return config
