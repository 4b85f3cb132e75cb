"""Pictures of the data tests, for the evaluation tests too."""

from tests.data.conftest import folder  # noqa: F401 (a fixture)
