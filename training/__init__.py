"""Programs that train and test the nets; the library they use is `keras_prelu`."""
