"""One small net and its exports, which the tests of this folder share."""

import pytest

from keras_prelu import export
from keras_prelu.applications import Model14

NAMES = [f"kind {i}" for i in range(7)]


@pytest.fixture(scope="package")
def net():
    return Model14(width=1 / 16, classes=7, input_shape=(32, 32, 3))


@pytest.fixture(scope="package")
def versions(net, tmp_path_factory):
    """A SavedModel of two versions: 1 raises, 2 marks and tests densely."""
    folder = tmp_path_factory.mktemp("served") / "net"
    export.saved_model(net, folder, NAMES, top_k=3, scale=40, card={"licence": "MIT"})
    export.saved_model(
        net, folder, NAMES, scale=40, dense_scales=(40, 52), on_error="mark"
    )
    return folder
