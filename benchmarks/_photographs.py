"""Generated JPEGs that are as hard to decode as photographs."""

import io

import numpy as np
from PIL import Image

SIZES = ((500, 375), (500, 375), (375, 500))  # width, height
BYTES = 100_000


def photograph(rng, width, height):
    """Return a JPEG of noise at all scales, as hard to compress as a photograph."""
    field = 128 + rng.normal(size=(height, width, 3)) * 6
    for cells in (4, 8, 16, 32, 64, 128):
        coarse = rng.normal(size=(cells * 3 // 4, cells, 3)).astype(np.float32)
        planes = [
            Image.fromarray(np.ascontiguousarray(coarse[..., c])).resize(
                (width, height), Image.Resampling.BICUBIC
            )
            for c in range(3)
        ]
        field += np.stack(planes, -1) * 60 / np.log2(cells)
    image = Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))
    for quality in range(97, 50, -2):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        if stream.tell() <= 1.05 * BYTES:
            return stream.getvalue()
    raise RuntimeError("No JPEG quality gives the intended size.")


def write_photographs(root, count):
    """Write photographs, upright and not, in two folders, one for each class."""
    rng = np.random.default_rng(0)
    for number in range(count):
        folder = root / f"class{number % 2}"
        folder.mkdir(exist_ok=True)
        content = photograph(rng, *SIZES[number % len(SIZES)])
        (folder / f"{number:04}.jpg").write_bytes(content)
