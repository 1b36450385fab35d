"""What a daemon costs when there is much of everything."""
