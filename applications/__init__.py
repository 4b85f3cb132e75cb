"""Worked uses of the nets."""
