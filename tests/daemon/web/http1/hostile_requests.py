"""What attackers, broken proxies and other protocols send to a port of HTTP: raw bytes, and what must come of them.

Each kind is sent to a server of `LIMITS`, and behind it the request `INNER`, unless its own bytes end otherwise. So a
body that is read too short or too long shows at once: what is left of it, or `INNER`, is read as something else.

The kinds that are served matter as much: a server that refuses everything would pass the rest.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from daemon.web.http1 import LargeBodies, Limits, Request


class Letters:
    """A thinner that keeps what is no digit."""

    def __init__(self) -> None:
        self.kept = bytearray()

    def feed(self, data: bytes | bytearray) -> None:
        self.kept += bytes(data).translate(None, b"0123456789")


def _of_media(request: Request) -> Letters | None:
    return Letters() if request.path == "/media" else None


LIMITS = Limits(max_body_bytes=1000, large=LargeBodies(5000, _of_media))
INNER = b"POST /inner HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nsmuggled"

Then = Literal["inner", "eof", "silence"]
Handled = tuple[str, str, bytes]
"""Method, path and body, as the handler sees them."""


class Kind(NamedTuple):
    pieces: tuple[bytes | float, ...]
    """What is sent; a number is a pause in seconds."""
    statuses: tuple[int, ...]
    """Of all answers, in order."""
    handled: tuple[Handled, ...] = ()
    """The requests that reach the handler, without `INNER`."""
    goes_on: bool = False
    """The connection stays open: `INNER` is answered as well."""
    then: Then = "inner"
    """What comes after the pieces: `INNER` and the end of sending, only the end, or nothing."""


def refused(status: int, *pieces: bytes | float, then: Then = "inner") -> Kind:
    """One answer, nothing handled, and nothing after it is read."""
    return Kind(pieces, (status,), then=then)


def served(*handled: Handled, raw: bytes, goes_on: bool = True) -> Kind:
    return Kind((raw,), (200,) * len(handled), handled, goes_on)


def head(*fields: bytes, line: bytes = b"POST /w HTTP/1.1", host: bytes = b"Host: a\r\n") -> bytes:
    return line + b"\r\n" + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def chunks(raw: bytes) -> bytes:
    return head(b"Transfer-Encoding: chunked") + raw


def get(target: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET " + target + b" " + version + b"\r\nHost: a\r\n\r\n"


HELLO: Handled = ("POST", "/w", b"hello")
EMPTY: Handled = ("POST", "/w", b"")
ROOT: Handled = ("GET", "/", b"")
CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"
LENGTH, CODING = b"Content-Length: 5", b"Transfer-Encoding: chunked"

TWO_LENGTHS: dict[str, Kind] = {
    "length, then chunked": refused(400, head(LENGTH, CODING) + CHUNKED),
    "chunked, then length": refused(400, head(CODING, LENGTH) + CHUNKED),
    "length 0 and chunked": refused(400, head(b"Content-Length: 0", CODING) + CHUNKED),
    "two lengths": refused(400, head(LENGTH, b"Content-Length: 6") + b"hello"),
    "one length twice": refused(400, head(LENGTH, LENGTH) + b"hello"),
    "length twice in other case": refused(400, head(LENGTH, b"content-length: 0") + b"hello"),
    "list of one length": refused(400, head(b"Content-Length: 5, 5") + b"hello"),
    "list of two lengths": refused(400, head(b"Content-Length: 5, 50") + b"hello"),
    "a length in a folded line": refused(400, head(b"Content-Length: 5\r\n 0") + b"hello"),
    "a length behind a bare LF": refused(400, head(b"X: a\nContent-Length: 5") + b"hello"),
    "a length behind a bare CR": refused(400, head(b"X: a\rContent-Length: 5") + b"hello"),
    "chunked behind a bare LF": refused(400, head(b"X: a\n" + CODING, LENGTH) + CHUNKED),
    "chunked in HTTP/1.0": refused(400, head(CODING, line=b"POST /w HTTP/1.0") + CHUNKED),
    "an underscore is another name": served(
        HELLO, raw=head(b"Transfer_Encoding: chunked", LENGTH) + b"hello"
    ),
    "a prefix is another name": served(HELLO, raw=head(b"X-Transfer-Encoding: chunked", LENGTH) + b"hello"),
    "length named as hop by hop": served(HELLO, raw=head(b"Connection: Content-Length", LENGTH) + b"hello"),
    "coding named as hop by hop": served(HELLO, raw=head(b"Connection: Transfer-Encoding", CODING) + CHUNKED),
    "a body of GET": served(("GET", "/w", b"hello"), raw=head(LENGTH, line=b"GET /w HTTP/1.1") + b"hello"),
    "a body of DELETE": served(
        ("DELETE", "/w", b"hello"), raw=head(CODING, line=b"DELETE /w HTTP/1.1") + CHUNKED
    ),
    "a body without a length": Kind((head() + b"hello\r\n\r\n",), (200, 400), (EMPTY,)),
    "a body longer than its length": Kind(
        (head(b"Content-Length: 3") + b"hello\r\n\r\n",), (200, 400), (("POST", "/w", b"hel"),)
    ),
    "a length with an underscore is none": Kind(
        (head(b"Content_Length: 5") + b"hello\r\n\r\n",), (200, 400), (EMPTY,)
    ),
}

LENGTHS: dict[str, Kind] = {
    **{
        f"length {value!r}": refused(400, head(b"Content-Length:" + value) + b"hello")
        for value in (
            b"",
            b" ",
            b" +5",
            b" -5",
            b" -0",
            b" 0x5",
            b" 5.0",
            b" 5e0",
            b" 5_0",
            b" 5;",
            b" 5,",
            b" ,5",
            b' "5"',
            b" 5 5",
            b" five",
            b" 5\x0b",
            b" \x0c5",
            b" 5\0",
            b" \xd9\xa5",
            b" 5a",
            b" 18446744073709551621",
            b" 99999999999999999999999999",
            b" " + b"0" * 30 + b"5",
        )
    },
    "a space before the colon of the length": refused(400, head(b"Content-Length : 5") + b"hello"),
    "a tab before the colon of the length": refused(400, head(b"Content-Length\t: 5") + b"hello"),
    "spaces around a length": served(HELLO, raw=head(b"Content-Length: \t 5 \t") + b"hello"),
    "no space before a length": served(HELLO, raw=head(b"Content-Length:5") + b"hello"),
    "zeros before a length": served(HELLO, raw=head(b"Content-Length: 0000005") + b"hello"),
    "the largest length": served(
        ("POST", "/w", b"x" * 1000), raw=head(b"Content-Length: 1000") + b"x" * 1000
    ),
    "one more than the largest length": refused(413, head(b"Content-Length: 1001") + b"x" * 1001),
    "a length of 136 MB": refused(413, head(b"Content-Length: 142606336") + b"x" * 1001),
    "a length of 2 to the 63": refused(413, head(b"Content-Length: 9223372036854775808") + b"hello"),
}

CODINGS: dict[str, Kind] = {
    **{
        f"coding {value!r}": refused(400, head(b"Transfer-Encoding:" + value) + CHUNKED)
        for value in (
            b"",
            b" xchunked",
            b" chunkedx",
            b" identity",
            b" chunked, identity",
            b" chunked, chunked",
            b" chunked,",
            b' "chunked"',
            b" chunked;q=1",
            b" \x0bchunked",
            b" chunked\0",
            b" chu nked",
            b" chunked\xa0",
            b"\r\n chunked",
            b" [chunked]",
            b" chun\r\nX: ked",
        )
    },
    "gzip before chunked": refused(501, head(b"Transfer-Encoding: gzip, chunked") + CHUNKED),
    "identity before chunked": refused(501, head(b"Transfer-Encoding: identity, chunked") + CHUNKED),
    "nothing before chunked": refused(501, head(b"Transfer-Encoding: ,chunked") + CHUNKED),
    "coding twice": refused(400, head(CODING, CODING) + CHUNKED),
    "coding twice, identity last": refused(400, head(CODING, b"Transfer-Encoding: identity") + CHUNKED),
    "coding in two lines": refused(400, head(b"Transfer-Encoding: gzip", CODING) + CHUNKED),
    "a space before the colon of the coding": refused(400, head(b"Transfer-Encoding : chunked") + CHUNKED),
    "a space before the name of the coding": refused(
        400, head(b"X: a", b" Transfer-Encoding: chunked") + CHUNKED
    ),
    "an 8-bit letter in the coding's name": refused(400, head(b"Transfer-Encod\xefng: chunked") + CHUNKED),
    "a NUL before the coding's name": refused(400, head(b"\0Transfer-Encoding: chunked") + CHUNKED),
    "capitals": served(HELLO, raw=head(b"TRANSFER-ENCODING: CHUNKED") + CHUNKED),
    "a tab after the coding": refused(400, head(b"Transfer-Encoding: chunked\t") + CHUNKED),
    "a tab before the coding": served(HELLO, raw=head(b"Transfer-Encoding:\tchunked") + CHUNKED),
    "a space after the coding": served(HELLO, raw=head(b"Transfer-Encoding: chunked ") + CHUNKED),
    "compressed content stays as it is": served(
        HELLO, raw=head(b"Content-Encoding: gzip", LENGTH) + b"hello"
    ),
}

CHUNKS: dict[str, Kind] = {
    **{
        f"chunk {raw!r:.40}": refused(400, chunks(raw))
        for raw in (
            b"\r\nhello\r\n0\r\n\r\n",
            b"g\r\nhello",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"5_\r\nhello",
            b"5,\r\nhello",
            b"5\nhello\n0\n\n",
            b"5\rhello\r0\r\r",
            b"5\r\r\nhello",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"5\r\nhell\r\n0\r\n\r\n",
            b"0\n\n",
            b"0\r\n\n",
            b"0\r\n\rX",
            b";x\r\nhello",
            b"5;a\nb\r\nhello\r\n0\r\n\r\n",
            b"5;a\rb\r\nhello\r\n0\r\n\r\n",
            b"5;\0\r\nhello\r\n0\r\n\r\n",
            b"00000000000000005\r\nhello",
            b"\xd9\xa5\r\nhello",
            b"5" * 300,
            b"5;" + b"x" * 300 + b"\r\nhello",
            (b"1;" + b"e" * 200 + b"\r\nx\r\n") * 50,
            b"0\r\nno colon\r\n\r\n",
            b"0\r\n Folded: x\r\n\r\n",
            b"0\r\nX : y\r\n\r\n",
            b"0\r\nX: a\nY: b\r\n\r\n",
            b"0\r\nX: \0\r\n\r\n",
            b"0\r\n: x\r\n\r\n",
            b"0\r\nX: " + b"y" * 9000,
            b"0\r\n" + b"X: y\r\n" * 3000,
        )
    },
    "one more than the largest chunk": refused(413, chunks(b"3e9\r\n")),
    "a chunk of 2 to the 63": refused(413, chunks(b"7fffffffffffffff\r\nhello")),
    "a chunk of 2 to the 64": refused(413, chunks(b"ffffffffffffffff\r\nhello")),
    "many chunks, together too large": refused(413, chunks(b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n")),
    "extensions": served(HELLO, raw=chunks(b'5;a=b;c="d"\r\nhello\r\n0;e\xe9\r\n\r\n')),
    "capitals and zeros": served(
        ("POST", "/w", b"hello, all"), raw=chunks(b"000A\r\nhello, all\r\n000\r\n\r\n")
    ),
    "a trailer that names a length": served(HELLO, raw=chunks(CHUNKED[:-2] + b"Content-Length: 3\r\n\r\n")),
    "a trailer that names a coding": served(HELLO, raw=chunks(CHUNKED[:-2] + CODING + b"\r\n\r\n")),
    "a chunk that holds a request": served(
        ("POST", "/w", INNER), raw=chunks(b"%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER))
    ),
    "no chunk but the last": served(EMPTY, raw=chunks(b"0\r\n\r\n")),
}

LINES: dict[str, Kind] = {
    **{
        f"line {line!r:.40}": refused(400, head(line=line))
        for line in (
            b"GET /",
            b"GET",
            b"",
            b" GET / HTTP/1.1",
            b"GET  / HTTP/1.1",
            b"GET /  HTTP/1.1",
            b"GET\t/ HTTP/1.1",
            b"GET / HTTP/1.1 ",
            b"GET / http/1.1",
            b"GET / HTTP/1",
            b"GET / HTTP/1.10",
            b"GET / HTTP/01.1",
            b"GET / HTTP/ 1.1",
            b"GET / HTTP /1.1",
            b"GET / HTTPS/1.1",
            b"GET / RTSP/1.0",
            b"OPTIONS sip:nm SIP/2.0",
            b"GET / HTTP/-1.1",
            b"GET / HTTP/1,1",
            b"GET /a b HTTP/1.1",
            b"GET /\x80 HTTP/1.1",
            b"GET /\0 HTTP/1.1",
            b"GET /\x7f HTTP/1.1",
            b"GET /a\rb HTTP/1.1",
            b"GET /\x0b HTTP/1.1",
            b"GE(T / HTTP/1.1",
            b"G\xcbT / HTTP/1.1",
            b"\0GET / HTTP/1.1",
            b"GET w HTTP/1.1",
            b"GET \\w HTTP/1.1",
            b"GET /a#b HTTP/1.1",
            b"GET #b HTTP/1.1",
            b"GET ? HTTP/1.1",
            b"GET a:80 HTTP/1.1",
            b"CONNECT a:80 HTTP/1.1",
            b"GET http://u@a/ HTTP/1.1",
            b"GET http:/// HTTP/1.1",
            b"GET http://a#b HTTP/1.1",
            b"GET ftp://a/ HTTP/1.1",
            b"GET file:///etc/passwd HTTP/1.1",
            b"PRI * HTTP/2.0",
            b"\r\n\r\nGET / HTTP/1.1",
            b"\nGET / HTTP/1.1",
            b"\xef\xbb\xbfGET / HTTP/1.1",
            b"HTTP/1.1 200 OK",
        )
    },
    "HTTP/0.9": refused(400, b"GET /\r\n\r\n"),
    "HTTP/0.9 without a CR": refused(400, b"GET /\n"),
    "HTTP/1.2": refused(505, get(b"/", b"HTTP/1.2")),
    "HTTP/2.0": refused(505, get(b"/", b"HTTP/2.0")),
    "HTTP/9.9": refused(505, get(b"/", b"HTTP/9.9")),
    "HTTP/0.9 by number": refused(505, get(b"/", b"HTTP/0.9")),
    "the preface of HTTP/2": refused(400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
    "an unknown method": refused(501, head(line=b"FOO / HTTP/1.1")),
    "a method in small letters": refused(501, head(line=b"get / HTTP/1.1")),
    "a long method": refused(501, head(line=b"A" * 10_000 + b" / HTTP/1.1")),
    "a longer method": refused(431, head(line=b"A" * 20_000 + b" / HTTP/1.1")),
    "a long target": refused(431, get(b"/" + b"a" * 20_000)),
    "a target that does not end": refused(431, b"GET /" + b"a" * 20_000),
    "absolute form": served(("GET", "/x", b""), raw=get(b"http://a:80/x?y=z")),
    "absolute form of another host": served(("GET", "/x", b""), raw=get(b"HTTPS://evil.example/x")),
    "absolute form without a path": served(ROOT, raw=get(b"http://a")),
    "asterisk form": served(("OPTIONS", "*", b""), raw=head(line=b"OPTIONS * HTTP/1.1")),
    "a path of two slashes is no host": served(("GET", "//evil.example/", b""), raw=get(b"//evil.example/")),
    "one empty line before": served(ROOT, raw=b"\r\n" + get(b"/")),
    "HTTP/1.0": served(ROOT, raw=b"GET / HTTP/1.0\r\n\r\n", goes_on=False),
    "HTTP/1.0, kept": served(ROOT, raw=b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
}

FIELDS: dict[str, Kind] = {
    **{
        f"field {field!r:.40}": refused(400, head(field))
        for field in (
            b"X: a\r\n b",
            b"X:\r\n\tb",
            b"X: a\nY: b",
            b"X: a\rY: b",
            b"X: a\0b",
            b"X: a\x01b",
            b"X: a\x7fb",
            b"X: \x1b[2J",
            b"X\0: a",
            b"X : a",
            b"X\t: a",
            b"X Y: a",
            b"X(Y): a",
            b"X\xe9: a",
            b"\xd8\xb9: a",
            b": a",
            b":",
            b"Nonsense",
            b" X: a",
            b"\tX: a",
            b"X;: a",
            b'"X": a',
            b"X@Y: a",
            b"Host: a",
            b"host: b",
            b"Expect: a\r\nExpect: b",
            b"Content-Type: a\r\nContent-Type: b",
            b"\rX: a",
            b"X: a\r",
            b"\n",
        )
    },
    "no host": refused(400, head(host=b"")),
    "a folded first line": refused(400, head(host=b" Host: a\r\n")),
    "101 fields": refused(431, head(*[b"X: y"] * 100)),
    "a long head": refused(431, head(b"X: " + b"y" * 20_000)),
    "a long name": refused(431, head(b"X" * 20_000 + b": y")),
    "a head that does not end": refused(431, head()[:-2] + b"X: y\r\n" * 4000),
    "another expectation": refused(417, head(b"Expect: tea")),
    "100 fields": served(EMPTY, raw=head(*[b"X: y"] * 99)),
    "8-bit letters in a value": served(EMPTY, raw=head(b"X: \xc3\xa9\xff")),
    "an empty value": served(EMPTY, raw=head(b"X:")),
    "an empty host": served(EMPTY, raw=head(host=b"Host:\r\n")),
    "close": served(EMPTY, raw=head(b"Connection: close"), goes_on=False),
    "keep and close": served(EMPTY, raw=head(b"Connection: keep-alive, Close"), goes_on=False),
    "close in two fields": served(EMPTY, raw=head(b"Connection: x", b"Connection: close"), goes_on=False),
    "an offer of HTTP/2": served(EMPTY, raw=head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c")),
    "an offer of HTTP/2 with a body": served(
        HELLO, raw=head(b"Connection: Upgrade", b"Upgrade: h2c", LENGTH) + b"hello"
    ),
    "an offer of WebSocket": served(
        ROOT, raw=head(b"Connection: Upgrade", b"Upgrade: websocket", line=b"GET / HTTP/1.1")
    ),
    "another method in a field": served(EMPTY, raw=head(b"X-HTTP-Method-Override: DELETE")),
    "another path in a field": served(EMPTY, raw=head(b"X-Original-URL: /v1/drain", b"X-Rewrite-URL: /v1")),
    "a body that was announced and is here": served(
        HELLO, raw=head(b"Expect: 100-continue", LENGTH) + b"hello"
    ),
    "an expectation without a body": served(ROOT, raw=head(b"Expect: 100-continue", line=b"GET / HTTP/1.1")),
}

PATHS: dict[str, Kind] = {
    **{
        f"target {target!r:.40}": refused(400, get(target))
        for target in (
            b"/%",
            b"/%2",
            b"/%zz",
            b"/%u0041",
            b"/%-1",
            b"/%00",
            b"/a%0d%0aX:%20b",
            b"/%0a",
            b"/%7f",
            b"/%1b",
            b"/%ff",
            b"/%c0%af",
            b"/%ed%a0%80",
            b"/%f4%90%80%80",
            b"/%e2%82",
            b"/?a=%",
            b"/?a=%f",
            b"/?a=%ff",
            b"/?" + b"a=b&" * 51,
        )
    },
    **{
        f"target {target!r}": served(("GET", target.decode().partition("?")[0], b""), raw=get(target))
        for target in (
            b"/../../etc/passwd",
            b"/%2e%2e/%2e%2e/",
            b"/a%2Fb",
            b"/a%252Fb",
            b"/a;b=c",
            b"/a//b/",
            b"/.%5c..",
            b"/?",
            b"/?%00",
            b"/?a=b&a=c",
            b"/%D8%B9%D9%85%D9%8A%D9%84",
            b"/%7Bp001%7D",
            b"/?" + b"a=b&" * 49 + b"a=b",
        )
    },
}

ONE_AFTER_ANOTHER: dict[str, Kind] = {
    "thirty in one packet": served(*[ROOT] * 30, raw=get(b"/") * 30),
    "framings in turn": served(HELLO, ROOT, HELLO, raw=head(LENGTH) + b"hello" + get(b"/") + chunks(CHUNKED)),
    "an empty line between": served(HELLO, ROOT, raw=head(LENGTH) + b"hello\r\n" + get(b"/")),
    "a good one, then a bad one": Kind((get(b"/") + head(LENGTH, CODING) + CHUNKED,), (200, 400), (ROOT,)),
    "a good one, then noise": Kind((get(b"/") + b"\x16\x03\x01\x02\0",), (200, 400), (ROOT,)),
    "a good one, then one too large": Kind((get(b"/") + head(b"Content-Length: 1001"),), (200, 413), (ROOT,)),
    "a chunked one, then its last chunk again": Kind((chunks(CHUNKED) + b"0\r\n\r\n",), (200, 400), (HELLO,)),
    "a last one, then more": served(
        ROOT, raw=head(b"Connection: close", line=b"GET / HTTP/1.1") + get(b"/x"), goes_on=False
    ),
}

ENDINGS: dict[str, Kind] = {
    "nothing at all": Kind((), (), then="eof"),
    "a whole one": Kind((get(b"/"),), (200,), (ROOT,), then="eof"),
    **{
        f"the end after {raw[-20:]!r}": refused(400, raw, then="eof")
        for raw in (
            b"G",
            b"\r\n",
            b"GET / HT",
            get(b"/")[:-1],
            get(b"/")[:-2],
            head(LENGTH),
            head(LENGTH) + b"hell",
            head(CODING),
            chunks(b"5"),
            chunks(b"5\r"),
            chunks(b"5\r\nhel"),
            chunks(b"5\r\nhello"),
            chunks(b"5\r\nhello\r\n"),
            chunks(CHUNKED[:-1]),
            chunks(CHUNKED[:-2] + b"X: y\r\n"),
        )
    },
    "a good one, then half": Kind((get(b"/") + b"GET",), (200, 400), (ROOT,), then="eof"),
}

_DROP: tuple[bytes | float, ...] = (b"a", 0.5)
DRIPS: dict[str, Kind] = {
    "silence": Kind((), (), then="silence"),
    "silence after a request": Kind((get(b"/"),), (200,), (ROOT,), then="silence"),
    "half a line, then silence": refused(408, b"GET /", then="silence"),
    "an empty line, then silence": refused(408, b"\r\n", then="silence"),
    "a line, then silence": refused(408, b"GET / HTTP/1.1\r\n", then="silence"),
    "a head without its end, then silence": refused(408, get(b"/")[:-1], then="silence"),
    "a length, then silence": refused(408, head(LENGTH), then="silence"),
    "an announced body that never comes": Kind(
        (head(b"Expect: 100-continue", LENGTH),), (100, 408), then="silence"
    ),
    "a coding, then silence": refused(408, head(CODING), then="silence"),
    "a chunk's size, then silence": refused(408, chunks(b"5\r\n"), then="silence"),
    "a chunk, then silence": refused(408, chunks(b"5\r\nhello\r\n"), then="silence"),
    "a trailer, then silence": refused(408, chunks(b"0\r\nX: y\r\n"), then="silence"),
    "a method in drops": refused(408, *_DROP * 40),
    "a target in drops": refused(408, b"GET /", *_DROP * 40),
    "fields in drops": refused(408, get(b"/")[:-2], *(b"X: y\r\n", 0.5) * 40),
    "a body in drops": refused(408, head(b"Content-Length: 100"), *_DROP * 60),
    "chunks in drops": refused(408, chunks(b""), *(b"1\r\na\r\n", 0.5) * 60),
    "an extension in drops": refused(408, chunks(b"5;"), *_DROP * 60),
    "trailers in drops": refused(408, chunks(b"0\r\n"), *(b"X: y\r\n", 0.5) * 60),
    "a second request in drops": Kind((get(b"/"), *_DROP * 40), (200, 408), (ROOT,)),
    "a head in quick drops": Kind(
        tuple(part for byte in get(b"/") for part in (bytes([byte]), 0.05)), (200,), (ROOT,), goes_on=True
    ),
    "a body in quick drops": Kind(
        (head(LENGTH), *(b"a", 0.5) * 5), (200,), (("POST", "/w", b"aaaaa"),), goes_on=True
    ),
    "chunks in quick drops": Kind(
        tuple(part for byte in chunks(CHUNKED) for part in (bytes([byte]), 0.02)),
        (200,),
        (HELLO,),
        goes_on=True,
    ),
    "a line break in two": Kind((get(b"/")[:-1], 1.0, b"\n"), (200,), (ROOT,), goes_on=True),
    "head and body apart": Kind((head(LENGTH), 5.0, b"hello"), (200,), (HELLO,), goes_on=True),
    "an announced body": Kind(
        (head(b"Expect: 100-continue", LENGTH), 1.0, b"hello"), (100, 200), (HELLO,), goes_on=True
    ),
}

OTHER_PROTOCOLS: dict[str, Kind] = {
    name: refused(400, raw)
    for name, raw in {
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xa5" * 64,
        "TLS with a line break in it": b"\x16\x03\x01\r\n\r\n",
        "SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
        "RDP": b"\x03\x00\x00\x2f\x2a\xe0\x00\x00\x00\x00\x00Cookie: mstshash=hello\r\n\x01\x00\x08\x00",
        "SOCKS 4": b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
        "SOCKS 5": b"\x05\x02\x00\x02",
        "PROXY 1": b"PROXY TCP4 203.0.113.7 203.0.113.8 35646 80\r\n" + get(b"/"),
        "PROXY 2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
        + b"\x7f\x00\x00\x01" * 2
        + b"\x8b\x3e\x00\x50"
        + get(b"/"),
        "SMTP": b"EHLO example.com\r\nMAIL FROM:<a@example.com>\r\n",
        "Redis": b"*1\r\n$4\r\nPING\r\n",
        "Redis, inline": b"SET a b\r\nQUIT\r\n",
        "Postgres": b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
        "memcached": b"stats\r\n",
        "MQTT": b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test",
        "DNS": b"\x00\x1e\x00\x06\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07version\x04bind\x00\x00\x10\x00\x03",
        "SMB": b"\x00\x00\x00\x2d\xffSMB\x72\x00\x00\x00\x00",
        "LDAP": b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00",
        "FTP": b"USER anonymous\r\nPASS a@\r\n",
        "IRC": b"NICK bot\r\nUSER bot 0 * :bot\r\n",
        "JSON": b'{"id":1,"method":"mining.subscribe","params":[]}\n',
        "FastCGI": b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00",
        "WebSocket": b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        "an answer of HTTP": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "zeros": b"\0" * 1000,
        "all bytes": bytes(range(256)) * 4,
    }.items()
}

_TO_MEDIA = b"POST /media HTTP/1.1"
_PHOTO = b"a" + b"1" * 2998 + b"b"


def photo(body: bytes, length: int = len(_PHOTO)) -> bytes:
    return head(b"Content-Length: %d" % length, line=_TO_MEDIA) + body


def photo_in_chunks(raw: bytes) -> bytes:
    return head(CODING, line=_TO_MEDIA) + raw


_INSIDE = get(b"/1") * 20 + b"1" * 2000
LEFT_OF_PHOTO: Handled = ("POST", "/media", b"ab")
LARGE_BODIES: dict[str, Kind] = {
    "a photo": served(LEFT_OF_PHOTO, raw=photo(_PHOTO)),
    "a photo in chunks": served(
        LEFT_OF_PHOTO,
        raw=photo_in_chunks(b"3e8\r\n%b\r\n7d0\r\n%b\r\n0\r\n\r\n" % (_PHOTO[:1000], _PHOTO[1000:])),
    ),
    "two photos and a small one": served(
        LEFT_OF_PHOTO, HELLO, LEFT_OF_PHOTO, raw=photo(_PHOTO) + head(LENGTH) + b"hello" + photo(_PHOTO)
    ),
    "requests in a photo": served(
        ("POST", "/media", _INSIDE.translate(None, b"0123456789")), raw=photo(_INSIDE, len(_INSIDE))
    ),
    "a photo longer than its length": Kind((photo(_PHOTO + b"1\r\n\r\n"),), (200, 400), (LEFT_OF_PHOTO,)),
    "a photo shorter than its length": refused(400, photo(_PHOTO[:-200])),
    "a photo of two lengths": refused(
        400, head(b"Content-Length: 3000", b"Content-Length: 8", line=_TO_MEDIA) + _PHOTO
    ),
    "a photo of a length and chunked": refused(
        400, head(b"Content-Length: 3000", CODING, line=_TO_MEDIA) + _PHOTO
    ),
    "a photo beyond its chunk": refused(400, photo_in_chunks(b"bb7\r\n%b\r\n0\r\n\r\n" % _PHOTO)),
    "a photo that is too large": refused(413, photo(b"", 5001)),
    "a photo that is too large in its last chunk": refused(
        413, photo_in_chunks(b"bb8\r\n%b\r\n7d1\r\n" % _PHOTO)
    ),
    "a photo that is no photo": refused(413, photo(b"a" * 3000)),
    "a photo somewhere else": refused(413, head(b"Content-Length: 3000") + _PHOTO),
    "half a photo, then the end": refused(400, photo(_PHOTO[:1500]), then="eof"),
    "half a photo, then silence": refused(408, photo(_PHOTO[:1500]), then="silence"),
    "a photo in drops": refused(408, photo(_PHOTO[:1500]), *(b"1", 0.5) * 60),
}

KINDS: dict[str, Kind] = {
    **TWO_LENGTHS,
    **LENGTHS,
    **CODINGS,
    **CHUNKS,
    **LINES,
    **FIELDS,
    **PATHS,
    **ONE_AFTER_ANOTHER,
    **ENDINGS,
    **DRIPS,
    **LARGE_BODIES,
    **OTHER_PROTOCOLS,
}
