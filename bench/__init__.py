"""Benchmarks of the daemon beside other servers doing the same job. See README.md."""
