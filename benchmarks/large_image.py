"""Memory of dense testing on a photograph of 6000x4000, at scale 480 with Model C.

    python benchmarks/large_image.py

Prints the process's peak resident memory, at full width with 1000 classes, and its peak
before the photograph is read, which includes TensorFlow and the model.
"""

import io
import resource
import time

from _measure import machine
from absl import app


def _peak():
    """Return the peak resident memory so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(_):
    import keras
    import numpy as np
    from PIL import Image

    import keras_prelu

    class Photograph(keras_prelu.data.Source):
        """One JPEG of 6000x4000."""

        def __len__(self):
            return 1

        def __getitem__(self, index):
            small = np.random.default_rng(0).integers(0, 256, (40, 60, 3), "uint8")
            stream = io.BytesIO()
            Image.fromarray(small).resize((6000, 4000)).save(stream, "JPEG")
            return stream.getvalue(), 0

    keras.utils.set_random_seed(0)
    model = keras_prelu.applications.ModelC()
    before = _peak()
    start = time.perf_counter()
    source = Photograph([str(i) for i in range(1000)])
    keras_prelu.evaluation.evaluate(model, source, "dense", scales=(480,))
    seconds = time.perf_counter() - start
    print(machine())
    print(
        f"Model C, {model.count_params():,} parameters; peak resident memory "
        f"{_peak():.2f} GiB, {before:.2f} GiB before the photograph; {seconds:.1f} s"
    )


if __name__ == "__main__":
    app.run(main)
