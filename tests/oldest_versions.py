"""Print constraints for pip: the oldest versions that setup.cfg allows.

python tests/oldest_versions.py > constraints.txt
"""

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"


def oldest_versions(setup):
    """Return a dict from the names of packages to the lower bounds in a setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read_string(setup)
    lists = [
        parser["options"]["install_requires"],
        *parser["options.extras_require"].values(),
    ]
    return {
        match["name"]: match["version"]
        for line in "\n".join(lists).splitlines()
        if (match := re.match(r"(?P<name>[\w-]+)(\[\w+\])?>=(?P<version>[\d.]+)", line))
    }


if __name__ == "__main__":
    for name, version in oldest_versions(SETUP.read_text()).items():
        print(f"{name}=={version}")
