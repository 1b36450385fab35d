"""Instances as operators set them up while the daemon runs: their sealed secrets."""
