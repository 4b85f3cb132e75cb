"""What all recipes share: section 3 of the paper. A recipe changes what it must."""

import ml_collections


def get_config():
    """Return every key that a recipe may set, with the paper's values."""
    config = ml_collections.ConfigDict()
    config.model = ml_collections.ConfigDict(
        {
            "name": "model_a",  # model_a, model_b, model_c, model14 or model30
            "activation": "prelu",  # prelu, prelu_shared, relu or leaky_relu
            "width": 1.0,  # of filters and units
            "dropout": 0.5,
            "weights": "",  # to start from: a registered name, a URL or a file
        }
    )
    config.data = ml_collections.ConfigDict(
        {
            "name": "imagenet2012",  # of a TFDS set, "prelu_shapes" included
            "path": "",  # or a folder of class folders, for each split or to divide
            "data_dir": "",  # where TFDS keeps its sets; empty: its own default
            "train": "train",  # a split of the set, or a folder in the directory
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
            "accumulate": 1,  # steps whose gradients make one update
            "clip_norm": 0.0,  # most that all gradients' norm may be; 0: no limit
        }
    )
    config.schedule = ml_collections.ConfigDict(
        {
            "name": "plateau",  # or "fixed"
            "factor": 0.1,
            "patience": 5,  # plateau: epochs without improvement
            "min_delta": 1e-3,  # plateau: what counts as one
            "min_learning_rate": 1e-4,  # plateau: the last of the three
            "epochs": (),  # fixed: before which epochs to lower it, counted from 1
        }
    )
    config.checkpoint = ml_collections.ConfigDict(
        {
            "seconds": 10.0,  # the least time from one save to the next
            "share": 0.01,  # the most that saving may take of the time
        }
    )
    config.epochs = 80
    config.batch_size = 128  # over all replicas
    config.steps_per_epoch = 0  # 0: every picture once
    config.seed = 0
    config.dtype = "float32"  # or mixed_bfloat16, mixed_float16
    config.jit = "auto"  # XLA: auto, on or off
    config.distribution = "auto"  # or one_device, mirrored, multi_worker
    config.deterministic = False  # same bits every time, at some cost in speed
    return config.lock()
