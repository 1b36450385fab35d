"""A request's head, from bytes to `Head`. Pure.

The laws of this file:
1. Two readers must agree. A head passes our own grammar (`_HEAD`) and then httptools; what either refuses is
   refused. llhttp alone takes a few things that another server in the chain may read otherwise.
2. Where a request ends is never guessed: one plain `Content-Length`, or exactly `chunked`, or no body.
3. A refusal closes the connection: what follows a doubtful head cannot be trusted to be a request.
4. A gateway's heads differ in nothing but the digits of `Content-Length`: a head that was read and found good is
   remembered without them. A head that differs anywhere else is parsed, and a refusal is never remembered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

import httptools
import msgspec

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
FIELD_LINE = TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r\n"

_HEAD = re.compile(
    rb"(?:\r\n)?(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])\r\n((?:" + FIELD_LINE + rb")*)\r\n"
)
_HOPELESS = re.compile(rb"\A[^A-Za-z\r]|(?<!\r)\n|\r[^\n]|\0")
_ORIGIN = re.compile(r"(?i)https?://[^/?#@]+(?=[/?]|\Z)")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SINGLE = frozenset({"host", "content-length", "transfer-encoding", "content-type", "expect"})
_MAX_QUERY_FIELDS = 50
_LENGTH_DIGITS = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ?([0-9]{1,9})(?=\r\n)")
_REMEMBERED_HEADS = 512
_MAX_REMEMBERED_BYTES = 1024


class ProtocolError(Exception):
    """The peer broke the protocol or a limit: answer `status` with the word `reason`, then close."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class Head(msgspec.Struct, frozen=True):
    """What the head of a request says, checked."""

    method: str
    path: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    is_http_1_0: bool
    keep_alive: bool
    chunked: bool
    content_length: int
    expects_continue: bool


class _Fields:
    """Takes the header lines from httptools, in order."""

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name, value))


def check_partial_head(data: bytes | bytearray, start: int) -> None:
    """Refuse at once what no further byte can turn into a head: TLS, bare line feeds, NUL.

    `start`: how much of `data` was checked before; a head that drips in is not read again at every drop.

    Raises:
      ProtocolError: 400.
    """
    if _HOPELESS.search(data, max(0, start - 1)):
        raise ProtocolError(400, "malformed_head")


def first_line(raw: bytes) -> tuple[str, tuple[str, ...]]:
    """Method and path segments as a head that was refused seems to name them: to count it, never to act on it."""
    method, _, rest = raw.lstrip(b"\r\n").partition(b"\r\n")[0].partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
    return method.decode("latin-1"), tuple(map(unquote, path.split("/")[1:]))


def parse_head(raw: bytes, max_headers: int) -> Head:
    """Read one head, its ending empty line included.

    Raises:
      ProtocolError: 400 malformed or ambiguous, 417, 431 too many headers, 501 unknown coding or method, 505.
    """
    length = _LENGTH_DIGITS.search(raw)
    if length is None or len(raw) > _MAX_REMEMBERED_BYTES:
        return _read_head(raw, max_headers)
    start, end = length.span(1)
    head = _remembered(b"%b0%b" % (raw[:start], raw[end:]), max_headers)
    digits = length[1].decode("ascii")
    headers = {**head.headers, "content-length": digits}
    return msgspec.structs.replace(head, headers=headers, content_length=int(digits))


def _read_head(raw: bytes, max_headers: int) -> Head:
    match = _HEAD.fullmatch(raw)
    if match is None:
        raise ProtocolError(400, "malformed_head")
    method, target, version = match[1], match[2].decode("ascii"), match[3]
    if method == b"PRI":
        raise ProtocolError(400, "http2_preface")
    if version not in (b"1.1", b"1.0"):
        raise ProtocolError(505, "http_version")
    is_http_1_0 = version == b"1.0"
    headers = _headers(_fields(raw), max_headers)
    if "host" not in headers and not is_http_1_0:
        raise ProtocolError(400, "host_missing")
    chunked, content_length = _framing(headers, is_http_1_0)
    path, query = _target(target)
    connection = headers.get("connection", "").lower()
    options = {option.strip() for option in connection.split(",")} if connection else ()
    return Head(
        method=method.decode("ascii"),
        path=path,
        segments=_segments(path),
        query=query,
        headers=headers,
        is_http_1_0=is_http_1_0,
        keep_alive="close" not in options and (not is_http_1_0 or "keep-alive" in options),
        chunked=chunked,
        content_length=content_length,
        expects_continue=_expects_continue(headers) and not is_http_1_0,
    )


_remembered = lru_cache(_REMEMBERED_HEADS)(_read_head)


def _fields(raw: bytes) -> list[tuple[bytes, bytes]]:
    fields = _Fields()
    try:
        httptools.HttpRequestParser(fields).feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # an offer to switch protocols may be ignored, and is
    except httptools.HttpParserInvalidMethodError:
        raise ProtocolError(501, "unknown_method") from None
    except httptools.HttpParserError:
        raise ProtocolError(400, "malformed_head") from None
    return fields.pairs


def _headers(pairs: list[tuple[bytes, bytes]], max_headers: int) -> dict[str, str]:
    if len(pairs) > max_headers:
        raise ProtocolError(431, "too_many_headers")
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("ascii").lower(), raw_value.strip(b" \t").decode("latin-1")
        if name in headers:
            if name in _SINGLE:
                raise ProtocolError(400, f"{name.replace('-', '_')}_twice")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _framing(headers: Mapping[str, str], is_http_1_0: bool) -> tuple[bool, int]:
    """Whether the body is chunked, and else its length."""
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None or is_http_1_0:
            raise ProtocolError(400, "ambiguous_length")
        if coding.lower() == "chunked":
            return True, 0
        last = coding.lower().rpartition(",")[2].strip()
        if last == "chunked":
            raise ProtocolError(501, "unknown_transfer_coding")
        raise ProtocolError(400, "ambiguous_length")
    if length is None:
        return False, 0
    if not (length.isascii() and length.isdigit() and len(length) <= 19):
        raise ProtocolError(400, "bad_content_length")
    return False, int(length)


def _target(target: str) -> tuple[str, Mapping[str, str]]:
    """Path and query of a target in origin form, absolute form or `*`."""
    if origin := _ORIGIN.match(target):
        rest = target[origin.end() :]
        target = rest if rest.startswith("/") else f"/{rest}"
    elif target != "*" and not target.startswith("/"):
        raise ProtocolError(400, "bad_target")
    if "#" in target:
        raise ProtocolError(400, "bad_target")
    path, _, query = target.partition("?")
    return path, _query(query) if query else {}


def _query(query: str) -> dict[str, str]:
    if _PERCENT.search(query):
        raise ProtocolError(400, "bad_target")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError:
        raise ProtocolError(400, "bad_target") from None
    return dict(pairs)


def _segments(path: str) -> tuple[str, ...]:
    segments = path.split("/")[1:]
    if "%" not in path:
        return tuple(segments)
    if _PERCENT.search(path):
        raise ProtocolError(400, "bad_target")
    try:
        decoded = tuple(unquote(segment, errors="strict") for segment in segments)
    except UnicodeDecodeError:
        raise ProtocolError(400, "bad_target") from None
    if any(_CONTROL.search(segment) for segment in decoded):
        raise ProtocolError(400, "bad_target")
    return decoded


def _expects_continue(headers: Mapping[str, str]) -> bool:
    expectation = headers.get("expect")
    if expectation is None:
        return False
    if expectation.lower() != "100-continue":
        raise ProtocolError(417, "unknown_expectation")
    return True
