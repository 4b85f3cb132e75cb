"""The ImageNet recipe from end to end, on toy tar files that TFDS prepares."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from runs import PROGRAM, ROOT

from tests.data.conftest import tar

pytestmark = pytest.mark.tensorflow_only
SYNSETS = ("n01440764", "n02077923", "n15075141")


def jpeg(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 11, 3), "uint8")
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((330, 270)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    manual = folder / "downloads" / "manual"
    manual.mkdir(parents=True)
    train = {
        f"{synset}.tar": tar({f"{synset}_{i}.JPEG": jpeg(i) for i in range(3)})
        for synset in SYNSETS
    }
    (manual / "ILSVRC2012_img_train.tar").write_bytes(tar(train))
    names = (f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 6))
    validation = {name: jpeg(i) for i, name in enumerate(names)}
    (manual / "ILSVRC2012_img_val.tar").write_bytes(tar(validation))
    return folder


@pytest.mark.parametrize(
    "recipe",
    [
        "model_a",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("model_b", "model_c", "model14", "model30")
        ),
    ],
)
def test_an_imagenet_recipe_trains_evaluates_and_draws(
    recipe, data_dir, tmp_path, command_line
):
    command_line(
        [
            *PROGRAM,
            f"--config={ROOT}/training/recipes/imagenet.py:{recipe}",
            f"--workdir={tmp_path}",
            f"--config.data.data_dir={data_dir}",
            "--config.model.width=0.01",
            "--config.optimizer.learning_rate=0.0001",  # higher rates diverge
            "--config.batch_size=4",
            "--config.epochs=1",
            "--config.steps_per_epoch=2",
        ]
    )
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model"]["name"] == recipe
    assert config["data"]["image_size"] == 224
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1"]
    assert all(float(row["val_loss"]) < 20 for row in rows)
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["center"]["examples"] == 5
    assert (tmp_path / "model.keras").exists()
    assert (tmp_path / "report" / "examples.png").exists()
