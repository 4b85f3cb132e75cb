"""The defaults of all recipes: the settings of section 3 of the paper."""

import ml_collections


def get_config():
    """Return all keys that a recipe can set, with the paper's values."""
    config = ml_collections.ConfigDict()
    config.model = ml_collections.ConfigDict(
        {
            "name": "model_a",  # model_a, model_b, model_c, model14 or model30
            "activation": "prelu",  # prelu, prelu_shared, relu or leaky_relu
            "width": 1.0,  # factor of the number of filters and units
            "dropout": 0.5,
            "weights": "",  # to start from: a registered name, a URL or a file
        }
    )
    config.data = ml_collections.ConfigDict(
        {
            "name": "imagenet2012",  # a data set of TFDS, or "prelu_shapes"
            "path": "",  # instead of a name: a folder of class folders, split or not
            "data_dir": "",  # the folder of TFDS; empty: its default
            "train": "train",  # a split of the data set, or a folder in `path`
            "validation": "validation",
            "image_size": 224,
            "scale": (256, 512),  # the shorter side in training
            "eval_scale": 256,
            "color": True,
            "augment_on": "device",
        }
    )
    config.optimizer = ml_collections.ConfigDict(
        {
            "learning_rate": 1e-2,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "accumulate": 1,  # batches whose gradients make one update
            "clip_norm": 0.0,  # limit of the norm of all gradients; 0: none
        }
    )
    config.schedule = ml_collections.ConfigDict(
        {
            "name": "plateau",  # or "fixed"
            "factor": 0.1,
            "patience": 5,  # plateau: epochs without improvement
            "min_delta": 1e-3,  # plateau: the least improvement that counts
            "min_learning_rate": 1e-4,  # plateau: the lowest learning rate
            "epochs": (),  # fixed: the epochs, from 1, before which to lower it
        }
    )
    config.checkpoint = ml_collections.ConfigDict(
        {
            "seconds": 10.0,  # the least time between two saves
            "fraction": 0.01,  # the largest fraction of the time for saving
        }
    )
    config.epochs = 80
    config.batch_size = 128  # over all replicas
    config.steps_per_epoch = 0  # 0: each image once
    config.seed = 0
    config.dtype = "float32"  # or mixed_bfloat16, mixed_float16
    config.jit = "auto"  # XLA, on PyTorch torch.compile: auto, on or off
    config.distribution = "auto"  # or one_device, mirrored, multi_worker
    config.deterministic = False  # the same bits in every run, but slower
    return config.lock()
