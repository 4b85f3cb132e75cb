"""Speed of the page in the browser, relative to ONNX Runtime in Python.

    python benchmarks/browser.py [--scale=240] [--rounds=9]

Scores all windows of the page's first image by the network of the quickstart: in
Chromium, with ONNX Runtime Web in its worker, and by the same file in Python. Both are
timed in turn, with all cores; the results are medians. The page's time includes its
messages between threads. Also prints the seconds from choosing a photograph of
4000x3000 pixels to its answer. Needs what `make test-web` installs.
"""

import json
import pathlib
import shutil
import sys
import tempfile
import threading
import time

from _measure import interleaved, machine, print_table
from absl import app, flags

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # for applications/

SCALE = flags.DEFINE_integer("scale", 240, "Shorter side of the image.")
ROUNDS = flags.DEFINE_integer("rounds", 9, "Number of timings of each way.")


def _in_python(folder, facts):
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "net.onnx")
    side = SCALE.value
    images = np.random.default_rng(0).uniform(0, 255, (1, side, side, 3))
    feeds = {"images": images, **facts["slopes"]}
    feeds = {name: np.asarray(values, "float32") for name, values in feeds.items()}
    return lambda: session.run(["scores"], feeds)


def _in_browser(page):
    options = {"scale": SCALE.value, "slopes": page.evaluate("state.facts.slopes")}
    score = "async (options) => { await state.net.ask('score', options); }"
    return lambda: page.evaluate(score, options)


def _seconds_to_answer(page, folder):
    """Return the seconds from choosing a photograph to its answer."""
    from PIL import Image

    path = folder / "photo.jpg"
    Image.effect_noise((4000, 3000), 64).convert("RGB").save(path)
    start = time.perf_counter()
    page.set_input_files("#file", path)
    page.wait_for_function(
        "() => state.image.name === 'photo.jpg' && state.answer !== null"
    )
    return time.perf_counter() - start


def main(_):
    from playwright.sync_api import sync_playwright

    from applications.browser import build
    from applications.browser.server import page_server

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = pathlib.Path(name)
        build.build(folder, build.quickstart())
        facts = json.loads((folder / "net.json").read_text())
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        with page_server(folder, 0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.evaluate(
                "async () => { window.state = (await import('/main.js')).state; }"
            )
            seconds = interleaved(
                {
                    "ONNX Runtime in Python": _in_python(folder, facts),
                    "the page in Chromium": _in_browser(page),
                },
                ROUNDS.value,
                warmup=2,
            )
            photo = _seconds_to_answer(page, folder)
            browser.close()
            server.shutdown()
    first = next(iter(seconds.values()))
    print(machine())
    print(
        f"The quickstart's network, all windows of {SCALE.value}x{SCALE.value} pixels"
    )
    print_table(
        ("way", "ms per image", "time / ONNX Runtime's in Python"),
        [(way, f"{1000 * t:.1f}", f"{t / first:.2f}") for way, t in seconds.items()],
    )
    print(f"From choosing a photograph of 4000x3000 to its answer: {photo:.2f} s")


if __name__ == "__main__":
    app.run(main)
