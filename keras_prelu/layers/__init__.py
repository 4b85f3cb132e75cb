"""The layers of the PReLU networks."""
