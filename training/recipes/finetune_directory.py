"""A trained network, fine-tuned on a folder of images.

    python -m training.train --config=training/recipes/finetune_directory.py \\
        --config.data.path=DIR --workdir=runs/finetune

DIR holds one folder per class, and a fifth of each class is set aside for validation.
Or DIR holds two folders, `train` and `validation`, of such folders. The recipe begins
with the weights of the quickstart, which know 16 drawn shapes and no photographs: set
others by `--config.model.weights=FILE`, with the name, width, activation and image size
of their network.

Hardware, time and score: they depend on the images; applications/finetune/ has some
measurements.
"""

from ml_collections import config_dict

from training.recipes import quickstart


def get_config():
    """Return the recipe: the quickstart's network, and the options of `fine_tune`."""
    config = quickstart.get_config()
    with config.unlocked():
        # `fine_tune` decides these itself: setting one is refused, not ignored.
        for key in ("optimizer", "schedule", "checkpoint", "steps_per_epoch", "jit"):
            del config[key]
        for key in ("name", "data_dir", "color", "augment_on"):
            del config.data[key]
        # `fine_tune` chooses every option that stays None, by the size of the set.
        config.finetune = config_dict.ConfigDict(
            {
                "head_epochs": config_dict.placeholder(int),  # of `epochs`
                "head_learning_rate": config_dict.placeholder(float),
                "learning_rate": config_dict.placeholder(float),  # of the second stage
                "patience": config_dict.placeholder(int),
                "unfreeze_from": config_dict.placeholder(str),  # or a layer's name
                "class_weight": config_dict.placeholder(str),  # or "balanced"
            }
        )
        config.epochs = config_dict.placeholder(int)
        config.batch_size = config_dict.placeholder(int)
    config.model.weights = "shapes"
    config.deterministic = False
    return config
