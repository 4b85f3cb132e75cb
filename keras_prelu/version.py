"""The version of the package, which setup.cfg reads as well."""

__all__ = ["__version__"]

__version__ = "0.1.0"
