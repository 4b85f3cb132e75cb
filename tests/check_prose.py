"""Flags phrases that made our prose hard to read, with what to write instead.

    python tests/check_prose.py

It reads every tracked text file, code included. A phrase that is right where it stands
goes into `ALLOWED`.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
SUFFIXES = {".cff", ".cfg", ".ipynb", ".md", ".py", ".toml", ".yaml"}

# Phrases as regular expressions, and better words.
PHRASES = {
    r"\w*pictures?": "image",
    r"whoever": "users who, or you",
    r"that of": "the model's output, the same length as ...",
    r"(of|to|from|by) (which|whom)": "a second sentence",
    r"to be had": "available",
    r"is to (be|cost|have|hold|keep|show|take)": "should",
    r"shares? of": "fraction of; shard for a worker's part",
    r"in the place of": "instead of",
    r"an? (cell|file|folder|line|number|row|seed|value) an? \w+": "one ... per ...",
    r"(what|which) there is": "name it",
    r"who (has|knows|uses|wants)": "if you ...",
    r"as it (stands|were)": "unchanged",
    r"(found|places?) =(?= )": "a name for what the variable holds",
}

# (file, text): where a flagged text says what it should.
ALLOWED = {
    ("tests/check_prose.py", None),
    ("CHANGELOG.md", "picture"),  # quotes a former message
}


def tracked_files():
    """Return the paths of all tracked text files, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [p for p in listed.stdout.splitlines() if pathlib.Path(p).suffix in SUFFIXES]


def flagged(path):
    """Yield each line of a file that holds a phrase: number, text, better words."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        for phrase, better in PHRASES.items():
            for match in re.finditer(rf"\b{phrase}\b", line, re.IGNORECASE):
                if not {(path, None), (path, match[0])} & ALLOWED:
                    yield number, match[0], better


def main():
    """Print what is flagged; return 1 if there is anything."""
    count = 0
    for path in tracked_files():
        for number, text, better in flagged(path):
            print(f"{path}:{number}: {text!r}: write {better}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
