"""The one check of `data_format`, shared by the layers."""

import keras


def standardize(data_format):
    """Returns `data_format`, or Keras's global one for `None`.

    Args:
        data_format: `"channels_last"`, `"channels_first"` or `None`.

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
