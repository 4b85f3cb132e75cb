"""The images of the data tests, for the tests of evaluation too."""

from tests.data.conftest import folder  # noqa: F401 (a fixture)
