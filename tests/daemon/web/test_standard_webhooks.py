"""Signatures of webhooks: those that hold, and that no other ones do."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.web.standard_webhooks import (
    ID,
    SIGNATURE,
    TIMESTAMP,
    read_secret,
    signature_in,
    signed_headers,
)

SECRET, OTHER = read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), b"o" * 32
IDENTITY, NOW, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330.0, b'{"test": 2432232314}'
HEADERS = {
    ID: IDENTITY,
    TIMESTAMP: "1614265330",
    SIGNATURE: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
"""The example of the specification's own libraries."""


def holds(headers: dict[str, str], body: bytes = BODY, key: bytes = SECRET, now: float = NOW) -> bool:
    signature = signature_in(headers, now)
    return signature is not None and signature.is_of(body, key)


def test_the_example_of_the_specification() -> None:
    assert signed_headers([SECRET], IDENTITY, NOW, BODY) == HEADERS
    assert holds(HEADERS)
    assert not holds(HEADERS, BODY + b" ") and not holds(HEADERS, key=OTHER)


def test_it_holds_for_five_minutes_both_ways() -> None:
    for seconds, is_held in ((-301, False), (-300, True), (300, True), (301, False)):
        assert holds(HEADERS, now=NOW + seconds) is is_held


def test_of_several_signatures_one_must_hold() -> None:
    """So a secret is changed: the sender signs with both, or we know both."""
    both = signed_headers([OTHER, SECRET], IDENTITY, NOW, BODY)
    assert len(both[SIGNATURE].split(" ")) == 2
    for key in (SECRET, OTHER):
        assert holds(both, key=key)
    assert not holds(both, key=b"n" * 32)
    right = HEADERS[SIGNATURE]
    for written in (f"v1a,{right[3:]} {right}", f" {right}", f"{right} v2,x", f"{'v1,x ' * 7}{right}"):
        assert holds({**HEADERS, SIGNATURE: written})
    assert signed_headers([], IDENTITY, NOW, BODY) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (ID, ""),
        (ID, "a" * 257),
        (ID, "another"),
        (TIMESTAMP, ""),
        (TIMESTAMP, "1614265331"),
        (TIMESTAMP, " 1614265330"),
        (TIMESTAMP, "+1614265330"),
        (TIMESTAMP, "1614265330.0"),
        (TIMESTAMP, "١٦١٤٢٦٥٣٣٠"),
        (TIMESTAMP, "1_614_265_330"),
        (TIMESTAMP, "01614265330"),
        (TIMESTAMP, "9" * 5_000),
        (SIGNATURE, ""),
        (SIGNATURE, "v1,"),
        (SIGNATURE, HEADERS[SIGNATURE][3:]),
        (SIGNATURE, HEADERS[SIGNATURE].replace("v1,", "v1a,")),
        (SIGNATURE, HEADERS[SIGNATURE].replace("=", "")),
        (SIGNATURE, HEADERS[SIGNATURE].replace("+", "-").replace("/", "_")),
        (SIGNATURE, "v1,x " * 100 + HEADERS[SIGNATURE]),
        (SIGNATURE, HEADERS[SIGNATURE].replace("E=", "F=")),
    ],
)
def test_what_does_not_hold(name: str, value: str) -> None:
    """The last one has the same bytes: its last digit has bits that nobody reads."""
    assert not holds({**HEADERS, name: value})
    assert not holds({key: text for key, text in HEADERS.items() if key != name})


@given(st.integers(0, len(BODY) * 8 - 1), st.integers(0, len(HEADERS[SIGNATURE]) * 7 - 1))
def test_with_any_bit_flipped_it_does_not_hold(of_body: int, of_signature: int) -> None:
    body, signature = bytearray(BODY), bytearray(HEADERS[SIGNATURE].encode())
    body[of_body // 8] ^= 1 << of_body % 8
    signature[of_signature // 7] ^= 1 << of_signature % 7
    assert not holds(HEADERS, bytes(body))
    assert not holds({**HEADERS, SIGNATURE: signature.decode()})


@pytest.mark.parametrize(
    ("written", "is_one"),
    [
        ("whsec_" + base64.b64encode(b"k" * 24).decode(), True),
        (base64.b64encode(b"k" * 64).decode(), True),
        ("whsec_" + base64.b64encode(b"k" * 32).decode().rstrip("="), True),
        ("whsec_" + base64.b64encode(b"k" * 23).decode(), False),
        ("whsec_" + base64.b64encode(b"k" * 65).decode(), False),
        ("whsec_", False),
        ("whsec_مرحبا", False),
        ("whsec_" + "!" * 40, False),
    ],
)
def test_what_a_secret_is(written: str, is_one: bool) -> None:
    if is_one:
        assert set(read_secret(written)) == {ord("k")}
        return
    with pytest.raises(ValueError, match="must be whsec_ and 24 to 64 bytes in base64") as caught:
        read_secret(written)
    assert written.removeprefix("whsec_") in ("", "!") or written[6:] not in str(caught.value)
