"""`make test-oldest` installs the lower bound of each requirement in setup.cfg."""

import pytest

from tests.oldest_versions import SETUP, constraints, requirements


def test_a_lower_bound_becomes_the_version():
    lines = ["a-b>=1.0", "c_d>=0.5; platform_system != 'Windows'", "e[f]>=2,<3"]
    assert constraints(lines) == ["a-b==1.0", "c_d==0.5", "e==2"]


@pytest.mark.parametrize("line", ["numpy", "numpy<3", "numpy==2.4"])
def test_a_requirement_without_a_lower_bound_is_refused(line):
    with pytest.raises(ValueError, match=f"Received: line='{line}'"):
        constraints([line])


def test_every_requirement_of_setup_cfg_is_pinned():
    pins = constraints(requirements())
    # Lines such as "python_requires = >=3.11" have their bound after a space.
    written = [line for line in SETUP.read_text().splitlines() if line[:1] == " "]
    assert len(pins) == len([line for line in written if ">=" in line]) > 20
    assert {"keras==3.15", "numpy==1.26", "pytest==8.0"} <= set(pins)
