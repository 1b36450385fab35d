"""A small HTTP/1.1 server for Trio, on httptools; used by the ingress and the admin socket alike."""

from daemon.web.http1.bodies import BodyBytes
from daemon.web.http1.listeners import (
    UnixListener,
    accept_forever,
    address_of,
    network_of,
    open_tcp_listeners,
    open_unix_listener,
    passed_tcp_listener,
    passed_unix_listener,
    split_address,
)
from daemon.web.http1.messages import (
    Gate,
    Handler,
    Keeper,
    LargeBodies,
    Limits,
    Peer,
    Rejected,
    Request,
    Response,
    Thinner,
    error_response,
    json_response,
)
from daemon.web.http1.server import ErrorCallback, HttpCounters, HttpServer

__all__ = [
    "BodyBytes",
    "ErrorCallback",
    "Gate",
    "Handler",
    "HttpCounters",
    "HttpServer",
    "Keeper",
    "LargeBodies",
    "Limits",
    "Peer",
    "Rejected",
    "Request",
    "Response",
    "Thinner",
    "UnixListener",
    "accept_forever",
    "address_of",
    "error_response",
    "json_response",
    "network_of",
    "open_tcp_listeners",
    "open_unix_listener",
    "passed_tcp_listener",
    "passed_unix_listener",
    "split_address",
]
