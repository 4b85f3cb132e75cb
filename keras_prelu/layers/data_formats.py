"""Validation of the argument `data_format`."""

import keras

__all__ = ["standardize"]


def standardize(data_format: str | None) -> str:
    """Return a valid data format, or raise a ValueError.

    Args:
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's
            global setting.

    Returns:
        `"channels_last"` or `"channels_first"`.
    """
    if data_format is None:
        return keras.config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            "Argument `data_format` must be 'channels_last', 'channels_first' or "
            f"None. Received: data_format={data_format!r}"
        )
    return data_format
