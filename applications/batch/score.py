"""Classify all images of a collection with an exported model, on Apache Beam.

    python -m applications.batch.score --model=runs/served/prelu/1 \\
        --input='photos/**/*.jpg' --output=runs/scores \\
        [--direct_num_workers=2 --direct_running_mode=multi_processing]

All options of Beam are accepted. The output contains the folder `images` of Parquet
files, with one row per image, and totals.json. The workers need TensorFlow and the
model, but not this package. Exit codes: 0, done; 2, an argument is wrong; 75, a worker
process was lost: nothing was written, start the same command again.
"""

import hashlib
import logging
import re
import sys

if not __package__:
    sys.exit("error: start this program by `python -m applications.batch.score`")

from absl import flags

from training import console

with console.quiet_import():
    import tensorflow as tf  # noqa: F401

import pyarrow
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import ModelHandler, RunInference
from tensorflow.core.protobuf import saved_model_pb2

from applications.batch import program

_MODEL = flags.DEFINE_string(
    "model", None, "A version of an exported model, such as served/prelu/1."
)
_SIGNATURE = flags.DEFINE_enum(
    "signature", "classify", ["classify", "dense"], "The model's signature to use."
)
_MAX_BATCH_SIZE = flags.DEFINE_integer(
    "max_batch_size", 64, "The largest batch; Beam chooses the sizes.", lower_bound=1
)

SCHEMA = pyarrow.schema(
    {
        "path": pyarrow.string(),
        "class": pyarrow.list_(pyarrow.string()),
        "score": pyarrow.list_(pyarrow.float32()),
        "rank": pyarrow.list_(pyarrow.int32()),
        "model": pyarrow.string(),
        "error": pyarrow.string(),
    }
)
_CANNOT_BE_DECODED = "cannot be decoded"


class Classifier(ModelHandler):
    """Runs an exported model on images, from `applications.batch.images`, to rows.

    Args:
        path: The folder of the model.
        signature: `"classify"` or `"dense"`.
        digest: The hash of the model, for the rows.
        **batching: Arguments of `ModelHandler` about batches.
    """

    def __init__(self, path, signature, digest, **batching):
        super().__init__(**batching)
        self._path = path
        self._signature = signature
        self._digest = digest

    def load_model(self):
        """Load the model, once in each worker process."""
        import tensorflow as tf

        # Hides warnings about gradients, which an exported model does not have.
        logging.getLogger("absl").setLevel(logging.ERROR)
        return tf.saved_model.load(self._path)

    def run_inference(self, batch, model, inference_args=None):
        """Return the rows of a batch of images."""
        classify = model.signatures[self._signature]
        readable = [content for _, content, _, error in batch if not error]
        answers = iter(_classified(classify, readable))
        return [
            self._row(path, error=error) if error else self._row(path, *next(answers))
            for path, _, _, error in batch
        ]

    def get_num_bytes(self, batch):
        """Return the bytes of a batch, for Beam's metrics."""
        return sum(len(content) for _, content, _, _ in batch)

    def _row(self, path, classes=(), scores=(), error=None):
        return {
            "path": path,
            "class": classes,
            "score": scores,
            "rank": range(1, len(classes) + 1),
            "model": self._digest,
            "error": error,
        }


def _classified(classify, contents):
    """Return `(classes, scores, error)` of each image.

    A model that does not mark bad images refuses a whole batch that contains one. Then
    the halves of the batch are tried.
    """
    import tensorflow as tf

    if not contents:
        return []
    try:
        answer = classify(image_bytes=tf.constant(contents))
    except tf.errors.InvalidArgumentError as error:
        # The message of `keras_prelu.export.signatures.all_decoded`.
        if "Cannot be decoded" not in error.message:
            raise
        if len(contents) == 1:
            return [((), (), _CANNOT_BE_DECODED)]
        half = len(contents) // 2
        return [
            *_classified(classify, contents[:half]),
            *_classified(classify, contents[half:]),
        ]
    columns = answer["classes"].numpy(), answer["scores"].numpy()
    return [
        ([name.decode() for name in classes], scores.tolist(), None)
        if classes[0]
        else ((), (), _CANNOT_BE_DECODED)  # a model that marks bad images
        for classes, scores in zip(*columns, strict=True)
    ]


def check_model(path, signature):
    """Raise an error unless a folder contains an exported model with a signature."""
    if re.search(r"[*?[]", path):
        raise ValueError(
            "Argument `--model` must be a path without *, ? and [, which TensorFlow "
            f"and Beam take for patterns. Received: --model={path}"
        )
    file = FileSystems.join(path, "saved_model.pb")
    if not FileSystems.exists(file):
        raise FileNotFoundError(
            "Argument `--model` must be a version of an exported model, a folder with "
            f"a saved_model.pb. Received: --model={path}"
        )
    model = saved_model_pb2.SavedModel.FromString(_read(file))
    signatures = model.meta_graphs[0].signature_def
    if signature not in signatures:
        raise ValueError(
            f"Argument `--model` must have the signature {signature!r}. "
            f"Received: --model={path}, which has {', '.join(sorted(signatures))}"
        )


def digest(path):
    """Return the sha256 of a model: of the names and contents of all its files."""
    files = FileSystems.match([FileSystems.join(path, "**")])[0].metadata_list
    total = hashlib.sha256()
    for name in sorted(file.path for file in files):
        total.update(name[len(path) :].encode() + b"\0")
        total.update(hashlib.sha256(_read(name)).digest())
    return total.hexdigest()


def _read(path):
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        return file.read()


def main(arguments):
    """Score all images."""
    path = program.absolute(_MODEL.value)
    check_model(path, _SIGNATURE.value)
    handler = Classifier(
        path, _SIGNATURE.value, digest(path), max_batch_size=_MAX_BATCH_SIZE.value
    )
    program.execute(
        arguments,
        program.source(),
        lambda images: (images | RunInference(handler), {}),
        SCHEMA,
    )


if __name__ == "__main__":
    flags.mark_flag_as_required("model")
    program.run(main)
