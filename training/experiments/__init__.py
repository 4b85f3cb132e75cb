"""The paper's claims, measured: one program for each."""

from training import console

with console.quiet_import():
    import keras
