"""Peers for tests: real HTTP servers with faults to order, independent of the daemon's own server."""
