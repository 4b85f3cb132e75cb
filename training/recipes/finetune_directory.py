"""A trained net, fine-tuned on a folder of photographs.

    python -m training.train --config=training/recipes/finetune_directory.py \\
        --config.data.path=DIR --workdir=runs/finetune

DIR holds a folder for each class; a fifth of each is set aside for validation. Or it
holds two folders, `train` and `validation`, of such folders. As it stands, the recipe
begins with the weights of the quickstart, which know 16 shapes and no photographs: give
others by `--config.model.weights=FILE`, with the name, width, activation and image size
of their net.

Hardware, time and score: they depend on the photographs; applications/finetune/ has
some, measured.
"""

from ml_collections import config_dict

from training.recipes import quickstart


def get_config():
    """Return the recipe: the quickstart's net, and the settings of `fine_tune`."""
    config = quickstart.get_config()
    with config.unlocked():
        # What `fine_tune` decides for itself: setting it is refused, not passed over.
        for key in ("optimizer", "schedule", "checkpoint", "steps_per_epoch", "jit"):
            del config[key]
        for key in ("name", "data_dir", "color", "augment_on"):
            del config.data[key]
        config.finetune = config_dict.ConfigDict(
            {
                "head_epochs": 5,  # of `epochs`: the new head alone
                "head_learning_rate": 1e-2,
                "learning_rate": 1e-3,  # then that of all layers
                "unfreeze_from": config_dict.placeholder(
                    str
                ),  # or the name of the first layer to train
                "patience": 5,
                "class_weight": config_dict.placeholder(str),  # or "balanced"
            }
        )
    config.model.weights = "shapes"
    config.epochs = 20
    config.deterministic = False
    return config
