"""Asks TF Serving about pictures over REST, with Python's own library.

    python applications/serving/client_rest.py photo.jpg [another.png ...] \\
        [--server=http://localhost:8501] [--model=prelu] [--output=answer.png]

Prints the best classes of each and draws them beside it. The format is that of
https://www.tensorflow.org/tfx/serving/api_rest.
"""

import base64
import json
import urllib.error
import urllib.request

import answers


def ask(server, model, contents):
    """Returns the best classes of pictures.

    Args:
        server: Address of the server, `http://host:port`.
        model: Name of the model.
        contents: A list of the bytes of pictures.

    Returns:
        For each a list of `(class, score)`, best first.
    """
    encoded = [{"b64": base64.b64encode(content).decode()} for content in contents]
    request = urllib.request.Request(
        f"{server}/v1/models/{model}:predict",
        json.dumps(
            {"signature_name": answers.SIGNATURE, "instances": encoded}
        ).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=answers.SECONDS) as response:
            rows = json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise ValueError(f"The server refuses ({error.code}): {text}") from error
    return [list(zip(row["classes"], row["scores"], strict=True)) for row in rows]


if __name__ == "__main__":
    answers.run(ask, "http://localhost:8501")
