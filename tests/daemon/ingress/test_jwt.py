"""JSON Web Tokens of webhooks: those that hold, and that no other ones do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.ingress import jwt

KEY, NOW = b"the key of a webhook", 1_800_000_000.0


def holds(shown: bytes, key: bytes = KEY, now: float = NOW) -> bool:
    return jwt.is_shaped(shown) and jwt.is_signed(shown, key) and jwt.is_in_force(shown, now)


def token(
    claims: object, header: object = {"alg": "HS256"}, key: bytes = KEY, digest: str = "sha256"
) -> bytes:
    parts = (json.dumps(part).encode() if not isinstance(part, bytes) else part for part in (header, claims))
    signed = b".".join(map(jwt.encoded, parts))
    return b".".join((signed, jwt.encoded(hmac.digest(key, signed, digest))))


def test_the_example_of_rfc_7515() -> None:
    """Appendix A.1: its text has line breaks in both parts."""
    key = base64.urlsafe_b64decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    )
    shown = (
        b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        b".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        b".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    assert holds(shown, key, 1_300_819_380.0 + 59)
    assert not holds(shown, key, 1_300_819_380.0 + 60)
    assert not holds(shown, KEY, 1_300_819_380.0)


def test_what_evolution_makes_holds_for_ten_minutes_and_the_difference_of_two_clocks() -> None:
    made = jwt.made(KEY.decode(), NOW).encode()
    claims = made.split(b".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + b"==")) == {
        "iat": 1_800_000_000,
        "exp": 1_800_000_600,
        "app": "evolution",
        "action": "webhook",
    }
    for later, is_held in ((-3_600, True), (0, True), (659, True), (660, False), (86_400, False)):
        assert holds(made, now=NOW + later) is is_held
    assert not holds(made, b"another key")


@pytest.mark.parametrize(
    "shown",
    [
        token({"exp": NOW}, {"alg": "none"}),
        token({"exp": NOW}, {"alg": "none"}).rpartition(b".")[0] + b".",
        token({"exp": NOW}, {"alg": "HS512"}),
        token({"exp": NOW}, {"alg": "HS512"}, digest="sha512"),
        token({"exp": NOW}, {"alg": "RS256"}),
        token({"exp": NOW}, {"alg": "hs256"}),
        token({"exp": NOW}, {}),
        token({"exp": NOW}, [{"alg": "HS256"}]),
        token({"exp": NOW}, {"alg": "HS256", "crit": ["exp"]}),
        token({}),
        token({"exp": None}),
        token({"exp": str(NOW)}),
        token({"exp": True}),
        token(b'{"exp":1e999}'),
        token(b'{"exp":NaN}'),
        token(b'{"exp":Infinity}'),
        token(b'{"exp":' + b"9" * 400 + b"}"),
        token(b'{"exp":1800000000,"a":' + b"[" * 1500),
        token({"exp": NOW, "nbf": NOW + 61}),
        token(b"\xff"),
        token({"exp": NOW}) + b".",
        token({"exp": NOW}) + b"=",
        token({"exp": NOW, "a": "a" * jwt.MAX_BYTES}),
        b"",
        b"..",
    ],
)  # fmt: skip
def test_what_does_not_hold(shown: bytes) -> None:
    assert not holds(shown)


def test_what_else_may_stand_in_it() -> None:
    for claims in (
        {"exp": NOW + 0.5},
        {"exp": 2**53},
        {"exp": NOW, "nbf": NOW + 60},
        {"exp": NOW, "iat": "x"},
    ):
        assert holds(token(claims, {"typ": "JWT", "alg": "HS256", "kid": "1"}))


VALID = token({"exp": NOW + 600})


@given(st.integers(0, len(VALID) * 8 - 1))
def test_with_any_bit_flipped_it_does_not_hold(bit: int) -> None:
    flipped = bytearray(VALID)
    flipped[bit // 8] ^= 1 << bit % 8
    assert holds(VALID) and not holds(bytes(flipped))


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=80))
def test_bytes_of_a_stranger_never_hold(shown: bytes, key: bytes) -> None:
    end = jwt.encoded(hashlib.sha256(shown).digest())
    for one in (shown, shown + b"." + end, b"." + shown[:20] + b"." + end):
        assert not holds(one, key)
