"""A server that only answers "accepted": shows the most that the load generator can reach on this machine."""

from __future__ import annotations

import select
import socket
import sys

_BODY = b'{"status":"accepted"}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_BODY),
    _BODY,
)


def main(port: int) -> None:
    """Answer each read with one acknowledgement: the generator sends one complete request at a time."""
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    while True:
        for descriptor, _ in epoll.poll():
            if descriptor == listener.fileno():
                connection, _ = listener.accept()
                connections[connection.fileno()] = connection
                epoll.register(connection.fileno(), select.EPOLLIN)
            elif connections[descriptor].recv(65536):
                connections[descriptor].send(_ANSWER)
            else:
                epoll.unregister(descriptor)
                connections.pop(descriptor).close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
