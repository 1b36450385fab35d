"""Outgoing HTTP/1.1 on Trio: a connection's bytes, requests, responses, the pool. Knows no HTTP library's interface."""
