"""Benchmarks of the daemon, compared to other servers doing the same job. See README.md."""
