"""A trained detector on the images of a folder."""
