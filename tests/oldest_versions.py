"""Print the lower bounds of setup.cfg as constraints for pip.

python tests/oldest_versions.py > oldest.txt
"""

import configparser
import pathlib
import re

SETUP = pathlib.Path(__file__).parents[1] / "setup.cfg"
REQUIREMENT = re.compile(r"([\w-]+)(?:\[.*?\])?>=([\d.]+)(?:[,;].*)?")


def requirements(setup=SETUP):
    """Return every requirement of the package and its extras, except on itself."""
    parser = configparser.ConfigParser()
    parser.read(setup)
    extras = parser["options.extras_require"].values()
    lines = "\n".join([parser["options"]["install_requires"], *extras]).splitlines()
    return [line for line in lines if line and not line.startswith("keras-prelu[")]


def constraints(lines):
    """Turn requirements such as `keras>=3.15,<3.17` into `keras==3.15`."""
    pins = []
    for line in lines:
        match = REQUIREMENT.fullmatch(line)
        if match is None:
            raise ValueError(
                f"A requirement must have a lower bound. Received: line={line!r}"
            )
        pins.append(f"{match[1]}=={match[2]}")
    return pins


if __name__ == "__main__":
    print(*constraints(requirements()), sep="\n")
