"""Classify images with TF Serving over REST, using Python's standard library.

    python -m applications.serving.client_rest photo.jpg [another.png ...] \\
        [--server=http://localhost:8501] [--model=prelu] [--output=answer.png]

Prints the best classes of each image, and draws them beside it, for the first 20
images. The format is described at https://www.tensorflow.org/tfx/serving/api_rest.
"""

import base64
import http.client
import json
import urllib.error
import urllib.request

from applications.serving import answers


def _message(text):
    """Return the message of an error: TF Serving's, or the start of another text."""
    try:
        return json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return text[:200].decode(errors="replace")


def _post(request):
    """Return the status and the body of the answer to a request."""
    try:
        with urllib.request.urlopen(request, timeout=answers.SECONDS) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _predictions(body, server, count):
    """Return the predictions of an answer, one for each image."""
    try:
        rows = json.loads(body)["predictions"]
        pairs = [list(zip(row["classes"], row["scores"], strict=True)) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise answers.no_answer(server, f"it sends {body[:60]!r}") from error
    if len(pairs) != count:
        raise answers.no_answer(server, f"it answers {len(pairs)} of {count} images")
    return pairs


def ask(server, model, contents):
    """Return the best classes of images.

    Args:
        server: Address of the server, `http://host:port`.
        model: Name of the model.
        contents: A list of encoded images.

    Returns:
        A list of `(class, score)` for each image, best first.
    """
    if not server.startswith(("http://", "https://")):
        raise ValueError(
            "Argument `--server` must be an address that begins with http:// or "
            f"https://. Received: --server={server}"
        )
    encoded = [{"b64": base64.b64encode(content).decode()} for content in contents]
    request = urllib.request.Request(
        f"{server}/v1/models/{model}:predict",
        json.dumps(
            {"signature_name": answers.SIGNATURE, "instances": encoded}
        ).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        status, body = answers.within(answers.SECONDS, _post, request)
    except (OSError, http.client.HTTPException) as error:
        raise answers.no_answer(server, getattr(error, "reason", error)) from error
    if status != http.HTTPStatus.OK:
        raise answers.refusal(server, status, _message(body))
    return _predictions(body, server, len(contents))


if __name__ == "__main__":
    answers.run(ask, "http://localhost:8501")
