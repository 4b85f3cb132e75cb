"""Object detection by Fast R-CNN on the nets of this package."""
