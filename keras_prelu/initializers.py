"""The initializer of the PReLU networks."""
