"""Training configurations, one file each; `defaults` lists every key."""
