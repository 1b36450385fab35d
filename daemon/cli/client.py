"""How a command reaches the running daemon: the common options, the admin socket, and how a command fails.

A command that fails prints one sentence on standard error that says what to do. Its exit status is one of:

0 done | 1 the daemon or a check reported a failure | 2 wrong settings or a wrong command line |
3 no daemon is running | 130 interrupted
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import typer

from daemon.config import Settings, load
from daemon.operate.actors import ActorsQuery
from daemon.operate.parameters import Parameters, parameters
from daemon.web.client import HttpFailed, NotDelivered, unix_get, unix_lines, unix_post

FAILED = 1
USAGE_ERROR = 2
NOT_RUNNING = 3
INTERRUPTED = 130

_SERVER_REFUSALS = {
    "too_many_connections": "the admin socket has no free connection: end a `majlis tail` or `majlis top`, or try "
    "again later",
    "body_too_large": "the request is larger than the daemon accepts",
}
"""Refusals of the HTTP server itself, which carry a reason and no sentence."""

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        readable=False,  # load() reports an unreadable file, in one sentence
        help="Settings file. Default: ./config.yaml, if it exists.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help="Override one setting of config.yaml for this command, e.g. admin.socket=other.sock. Repeatable.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def option(asks: type[Parameters], name: str, *flags: str, metavar: str | None = None) -> Any:
    """The command line's option for one parameter of a route, with the bounds and the help that the route declares."""
    declared = parameters(asks)[name]
    return typer.Option(
        *flags, min=declared.minimum, max=declared.maximum, metavar=metavar, help=declared.help
    )


RevealOption = Annotated[bool, option(ActorsQuery, "reveal", "--reveal")]
LimitOption = Annotated[int, option(ActorsQuery, "limit", metavar="N")]
OnlyInstanceOption = Annotated[
    str | None, option(ActorsQuery, "instance", "--instance", "-i", metavar="NAME")
]
LISTED = 50
"""Lines that a list prints unless more are asked for: a screenful or two."""

ViewT = TypeVar("ViewT")
Query = Mapping[str, str | int | bool | None]


class Failure(Exception):
    """The command failed; the text is one sentence for the person who typed it."""

    def __init__(self, sentence: str, exit_status: int = FAILED) -> None:
        super().__init__(sentence)
        self.exit_status = exit_status


class AskedFirst(Failure):
    """The daemon does it when it is asked again with `yes`; the text says what would come of it."""


def settings_of(config: Path | None, assignments: list[str] | None) -> Settings:
    """The settings that `--config` and `--set` name. Raises: ConfigError."""
    return load(config, assignments or ())


def is_stdin(path: Path) -> bool:
    return str(path) == "-"


def file_text(path: Path, max_chars: int) -> str:
    """A text that an operator has in a file, or types where that is `-`; no more of it is read than that."""
    try:
        with nullcontext(sys.stdin) if is_stdin(path) else path.open(encoding="utf-8") as file:
            text = file.read(max_chars + 1)
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror}", USAGE_ERROR) from None
    except UnicodeDecodeError:
        raise Failure(f"{path}: is not UTF-8 text", USAGE_ERROR) from None
    if len(text) > max_chars:
        raise Failure(f"{path}: has more than {max_chars:,} characters", USAGE_ERROR)
    return text


def client_of(config: Path | None, assignments: list[str] | None) -> AdminClient:
    """A client for the daemon that runs with these settings. Raises: ConfigError."""
    return AdminClient(settings_of(config, assignments).admin_socket)


class AdminClient:
    """Sends requests to the daemon behind one admin socket. Every error is raised as a `Failure`."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def get(self, path: str, query: Query | None = None) -> object:
        """The JSON document at this path."""
        with self._failures():
            status, document = unix_get(str(self._socket), _target(path, query))
        return _success(status, document)

    def post(self, path: str, query: Query | None = None, body: object = None) -> object:
        """Change something; the answer is a JSON document."""
        with self._failures():
            status, document = unix_post(str(self._socket), _target(path, query), body)
        return _success(status, document)

    def lines(self, path: str, query: Query | None = None) -> Iterator[str]:
        """The lines of an endless stream, without the empty ones that keep the connection alive."""
        with self._failures(), unix_lines(str(self._socket), _target(path, query)) as (status, lines):
            if status != 200:
                _success(status, _document("".join(lines)))
            yield from (line for line in lines if line)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        self._check_access()
        try:
            yield
        except NotDelivered:
            raise self._not_running() from None
        except HttpFailed as error:
            raise Failure(f"majlis stopped answering at {self._socket} ({error}); see its log") from None

    def _check_access(self) -> None:
        """The HTTP library does not distinguish a forbidden socket from a missing one; the file system does."""
        try:
            owner = self._socket.stat().st_uid
        except FileNotFoundError:
            raise self._not_running() from None
        except PermissionError:
            raise Failure(
                f"no permission to open {self._socket}; run this as the user that majlis runs as, or as root"
            ) from None
        if not os.access(self._socket, os.W_OK):
            allowed = " or ".join(dict.fromkeys((_user(owner), "root")))
            raise Failure(f"{self._socket} belongs to {_user(owner)}; run this as {allowed}")

    def _not_running(self) -> Failure:
        return Failure(
            f"majlis is not running at {self._socket}; start it with `majlis run`, or pass the running daemon's "
            "settings file with --config",
            NOT_RUNNING,
        )


def view(document: object, kind: type[ViewT]) -> ViewT:
    """The daemon's JSON document as the struct that it is."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise Failure(
            f"the running daemon is of another version ({error}); restart it so that both are the same"
        ) from None


def conversation_path(ref: str) -> str:
    """The route of a conversation given as a label or as INSTANCE/PHONE."""
    instance, slash, contact = ref.rpartition("/")
    if slash and not (instance and contact):
        raise Failure(f"{ref!r} is not a conversation; write its label, or INSTANCE/PHONE")
    pieces = (instance, contact) if slash else (contact,)
    return "/v1/conversations/" + "/".join(quote(piece, safe="") for piece in pieces)


def _target(path: str, query: Query | None) -> str:
    given = {name: _word(value) for name, value in (query or {}).items() if value not in (None, False)}
    return f"{path}?{urlencode(given)}" if given else path


def _word(value: str | int | bool | None) -> str:
    return "true" if value is True else str(value)


def _success(status: int, document: object) -> object:
    if status == 200:
        return document
    answer = document if isinstance(document, dict) else {}
    fallback = _SERVER_REFUSALS.get(
        str(answer.get("reason")), f"the daemon refused the request (HTTP {status}); see its log"
    )
    kind = AskedFirst if answer.get("reason") == "asks_first" else Failure
    raise kind(str(answer.get("message") or fallback))


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
