"""The command line's way to the running daemon: its admin socket."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from daemon.cli.failure import NOT_RUNNING, Failure
from daemon.web.client import HttpFailed, NotDelivered, unix_get, unix_lines, unix_post

_REFUSALS = {
    "too_many_connections": "too many others use the admin socket now: end a `majlis tail` or `majlis top`, or wait",
    "body_too_large": "this is more than the daemon takes in one request",
}
"""What the server itself refuses, before any route is asked."""

ViewT = TypeVar("ViewT")
Query = Mapping[str, str | int | bool | None]


class AdminClient:
    """Asks the daemon behind one socket. Every failure is a `Failure` with a sentence."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def get(self, path: str, query: Query | None = None) -> object:
        with self._mapped():
            status, document = unix_get(str(self._socket), _target(path, query))
        return _success(status, document)

    def post(self, path: str, query: Query | None = None, body: object = None) -> object:
        with self._mapped():
            status, document = unix_post(str(self._socket), _target(path, query), body)
        return _success(status, document)

    def lines(self, path: str, query: Query | None = None) -> Iterator[str]:
        """The lines of an endless answer, without the empty ones that only keep it alive."""
        with self._mapped(), unix_lines(str(self._socket), _target(path, query)) as (status, lines):
            if status != 200:
                _success(status, _document("".join(lines)))
            yield from (line for line in lines if line)

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        self._refuse_if_closed()
        try:
            yield
        except NotDelivered:
            raise self._not_running() from None
        except HttpFailed as error:
            raise Failure(f"majlis stopped answering at {self._socket} ({error}); see its log") from None

    def _refuse_if_closed(self) -> None:
        """The HTTP library does not tell a closed door from a missing one; the file system does."""
        try:
            owner = self._socket.stat().st_uid
        except FileNotFoundError:
            raise self._not_running() from None
        except PermissionError:
            raise Failure(
                f"{self._socket} may not be read by you; run this as the user that runs majlis, or as root"
            ) from None
        if not os.access(self._socket, os.W_OK):
            who = " or ".join(dict.fromkeys((_user(owner), "root")))
            raise Failure(f"{self._socket} belongs to {_user(owner)}; run this as {who}")

    def _not_running(self) -> Failure:
        return Failure(
            f"majlis is not running at {self._socket}; start it with `majlis run`, or name the settings of the one "
            "that runs with --config",
            NOT_RUNNING,
        )


def view(document: object, kind: type[ViewT]) -> ViewT:
    """What the daemon said, as the struct it is."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise Failure(f"the daemon speaks another version ({error}); restart it with this one") from None


def conversation_path(ref: str) -> str:
    """The route of a conversation written as a label or as INSTANCE/PHONE."""
    instance, slash, contact = ref.rpartition("/")
    if slash and not (instance and contact):
        raise Failure(f"{ref!r} names no conversation; write its label, or INSTANCE/PHONE")
    pieces = (instance, contact) if slash else (contact,)
    return "/v1/conversations/" + "/".join(quote(piece, safe="") for piece in pieces)


def message_path(message: str) -> str:
    """The route of a message's life."""
    if not message.isprintable():
        raise Failure("a message id has no line break and no other unprintable character: copy it anew")
    return f"/v1/explain/{quote(message, safe='')}"


def _target(path: str, query: Query | None) -> str:
    given = {name: _word(value) for name, value in (query or {}).items() if value not in (None, False)}
    return f"{path}?{urlencode(given)}" if given else path


def _word(value: str | int | bool | None) -> str:
    return "true" if value is True else str(value)


def _success(status: int, document: object) -> object:
    if status == 200:
        return document
    said = document if isinstance(document, dict) else {}
    otherwise = _REFUSALS.get(str(said.get("reason")), f"the daemon refused this ({status}); see its log")
    raise Failure(str(said.get("message") or otherwise))


def _document(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with id {uid}"
