"""A trained model, fine-tuned on a folder of photographs.

    python -m training.train --config=training/recipes/finetune_directory.py \\
        --config.data.path=DIR --workdir=runs/finetune

DIR contains one folder per class, and a fifth of each is used for validation; or it
contains `train` and `validation`, each with one folder per class. By default the recipe
starts from the weights of the quickstart, which were trained on 16 shapes and not on
photographs. Set `config.model.weights` to start from others, with the name, width,
activation and image size of their model.

Hardware, time and score depend on the photographs; applications/finetune/README.md has
some results.
"""

from ml_collections import config_dict

from training.recipes import quickstart


def get_config():
    """Return the recipe: the quickstart's model, and the settings of `fine_tune`."""
    config = quickstart.get_config()
    with config.unlocked():
        # `fine_tune` decides these itself, so setting them must be an error.
        for key in ("optimizer", "schedule", "checkpoint", "steps_per_epoch", "jit"):
            del config[key]
        for key in ("name", "data_dir", "color", "augment_on"):
            del config.data[key]
        config.finetune = config_dict.ConfigDict(
            {
                "head_epochs": 5,  # of `epochs`, in which only the head learns
                "head_learning_rate": 1e-2,
                "learning_rate": 1e-3,  # of all layers, after that
                # The first layer to train after that; all layers by default.
                "unfreeze_from": config_dict.placeholder(str),
                "patience": 5,
                "class_weight": config_dict.placeholder(str),  # or "balanced"
            }
        )
    config.model.weights = "shapes"
    config.epochs = 20
    config.deterministic = False
    return config
