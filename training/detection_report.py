"""The report of a finished detector: its average precision, and figures."""

import json
import sys

import keras

from keras_prelu import detection
from keras_prelu.data.decoding import decode_rgb
from keras_prelu.files import replacing
from training.report import save, write_logs

EXAMPLES = 8


def write_report(workdir, config, images):
    """Evaluate `model.keras` of a run and draw what it detects.

    Args:
        workdir: `pathlib.Path` of the run.
        config: Its configuration.
        images: The validation data, `detection_recipe.ProposedImages`.
    """
    is_terminal = sys.stdout.isatty()
    detector = keras.saving.load_model(workdir / "model.keras", compile=False)
    evaluation = detection.evaluate(
        detector,
        images.source,
        images.proposals,
        metric=config.detection.metric,
        shorter_side=config.detection.shorter_side[1],
        longest_side=config.detection.longest_side,
        verbose=int(is_terminal),  # progress and result
    )
    recall = detection.recall(images.proposals, images.source)
    summary = {**evaluation.to_dict(), "proposal_recall": recall.overall}
    with replacing(workdir / "evaluation.json") as aside:
        aside.write_text(json.dumps(summary, indent=2) + "\n")

    write_logs(workdir, {"loss": "Loss", "scores_accuracy": "Accuracy of regions"})
    folder = workdir / "report"
    save(detection.draw_curves(evaluation), folder / "precision_recall.png")
    save(draw_examples(evaluation, images.source), folder / "detections.png")
    if not is_terminal:
        print(evaluation)
    print(f"\nRecall of the proposals:\n\n{recall}\n")
    print(f"Model: {workdir / 'model.keras'}\nFigures: {folder}")


def draw_examples(evaluation, source):
    """Draw the objects and the detections of the first images."""
    chosen = evaluation.indices[:EXAMPLES]
    images, objects = zip(*(source.read(index) for index in chosen), strict=True)
    return detection.gallery(
        [decode_rgb(image) for image in images],
        objects,
        evaluation.detections[: len(chosen)],
        source.class_names,
    )
