"""The HTTP library's own transport, to be compared with ours."""

from __future__ import annotations

import httpx2

from daemon.web.tls import tls_context


def library(keep_seconds: float, max_connections: int = 10) -> httpx2.AsyncBaseTransport:
    limits = httpx2.Limits(
        max_connections=max_connections,
        max_keepalive_connections=max_connections if keep_seconds else 0,
        keepalive_expiry=keep_seconds,
    )
    return httpx2.AsyncHTTPTransport(verify=tls_context(), trust_env=False, limits=limits)
