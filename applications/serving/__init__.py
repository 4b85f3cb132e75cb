"""Exports a trained model for TF Serving, and asks the server about images."""
