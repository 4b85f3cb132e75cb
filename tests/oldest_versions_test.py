"""The constraints of `make test-oldest` hold every package of setup.cfg."""

from tests.oldest_versions import SETUP, oldest_versions

EXAMPLE = """
[options]
install_requires =
    # A comment.
    array_record>=0.6; platform_system != "Windows"
    keras>=3.15,<3.17

[options.extras_require]
plots =
    matplotlib>=3.8
docs =
    keras-prelu[plots]
    mkdocstrings[python]>=1.0
"""


def test_each_lower_bound_becomes_a_constraint():
    assert oldest_versions(EXAMPLE) == {
        "array_record": "0.6",
        "keras": "3.15",
        "matplotlib": "3.8",
        "mkdocstrings": "1.0",
    }


def test_no_package_of_setup_cfg_lacks_a_lower_bound():
    options = SETUP.read_text().partition("[options]")[2]
    lists, _, _ = options.partition("[tool:pytest]")
    names = {
        line.strip().split(">=")[0].partition("[")[0]
        for line in lists.splitlines()
        if line.startswith("    ")
        and not line.strip().startswith(("#", "keras-prelu["))
    }
    assert set(oldest_versions(SETUP.read_text())) == names
