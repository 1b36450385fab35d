"""What the gateway's answers prove: the table of known answers, and totality."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.outcome import NotSent, SendOutcome, Sent, Unknown
from daemon.gateways.evolution.outcome import classify

PRISMA = "PrismaClientKnownRequestError: \nInvalid `this.prismaRepository.message.create()` invocation in\n"


def refusal(status: int, message: object) -> bytes:
    return json.dumps({"status": status, "error": "Error", "response": {"message": message}}).encode()


def meta(code: int) -> bytes:
    """The error object as the gateway hands it on."""
    error = {"message": f"(#{code}) said Meta", "type": "OAuthException", "code": code, "fbtrace_id": "A1"}
    return json.dumps({**error, "error_data": {"messaging_product": "whatsapp", "details": "…"}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (201, b'{"key":{"remoteJid":"x","fromMe":true,"id":"3EB0"},"status":"PENDING"}', Sent("3EB0")),
        (200, b'{"key":{"id":"3EB0"}}', Sent("3EB0")),
        (201, b"<html>", Unknown("accepted_without_id")),
        (201, b'{"key":{"id":""}}', Unknown("accepted_without_id")),
        (201, meta(190), NotSent("meta_190", "hold", 7.0)),
        (201, meta(131047), NotSent("window_closed", "refuse")),
        (201, meta(131000), Unknown("meta_131000")),
        (201, b'{"key":{"id":"3EB0"},"code":190,"type":"OAuthException"}', Sent("3EB0")),
        (201, b'{"code":190}', Unknown("accepted_without_id")),
        (400, meta(131026), NotSent("undeliverable", "refuse")),
        (401, meta(190), NotSent("meta_190", "hold", 7.0)),
        (400, refusal(400, json.loads(meta(131056))), NotSent("meta_131056", "hold", 7.0)),
        (400, refusal(400, [json.loads(meta(131051))]), NotSent("unsupported_type", "refuse")),
        (400, refusal(400, {"error": json.loads(meta(10))}), NotSent("meta_10", "hold", 7.0)),
        (400, b'{"error":%s}' % meta(131047), NotSent("window_closed", "refuse")),
        (200, b"<html>welcome", Unknown("accepted_without_id")),
        (204, b"", Unknown("accepted_without_id")),
        (400, refusal(400, ["Error: Connection Closed"]), NotSent("connection_closed", "hold")),
        (500, refusal(500, "Connection Closed"), NotSent("connection_closed", "hold")),
        (
            400,
            refusal(400, [{"jid": "0@s.whatsapp.net", "exists": False, "number": "0"}]),
            NotSent("not_on_whatsapp", "refuse"),
        ),
        (400, refusal(400, [[{"exists": False}]]), NotSent("not_on_whatsapp", "refuse")),
        (400, refusal(400, [['instance requires property "text"']]), NotSent("bad_request", "refuse")),
        (400, refusal(400, [PRISMA]), Unknown("sent_but_unrecorded", may_resend=False)),
        (500, PRISMA.encode(), Unknown("sent_but_unrecorded", may_resend=False)),
        (
            400,
            refusal(400, ["PrismaClientInitializationError: `prisma.instance.findUnique()`"]),
            Unknown("gateway_database_failed"),
        ),
        (401, refusal(401, "Unauthorized"), NotSent("bad_key", "hold")),
        (403, b"", NotSent("bad_key", "hold")),
        (
            404,
            refusal(404, ['The "demo" instance does not exist']),
            NotSent("unknown_instance_at_gateway", "hold"),
        ),
        (404, b"<html>", NotSent("no_such_route", "hold")),
        (302, b"", NotSent("redirected", "hold")),
        (303, b"", Unknown("gateway_answered_303")),
        (413, b"", NotSent("too_large", "refuse")),
        (429, b"slow down", NotSent("rate_limited", "hold", 7.0)),
        (
            500,
            refusal(500, "Cannot read properties of undefined (reading 'textMessage')"),
            NotSent("instance_not_loaded", "hold"),
        ),
        (
            500,
            refusal(500, "Cannot read properties of undefined (reading 'onWhatsApp')"),
            NotSent("instance_not_loaded", "hold"),
        ),
        (
            500,
            refusal(500, "Cannot read properties of undefined (reading 'key')"),
            Unknown("gateway_answered_500"),
        ),
        (503, b'{"error":"x","code":"LICENSE_REQUIRED"}', NotSent("licence_required", "hold")),
        (502, b"<html>Bad Gateway", Unknown("gateway_answered_502")),
        (503, b"<html>Service Unavailable", Unknown("gateway_answered_503")),
        (504, b"", Unknown("gateway_answered_504")),
        (400, refusal(400, ["Error: Timed Out"]), Unknown("gateway_answered_400")),
        (400, b"\xff\xfe", Unknown("gateway_answered_400")),
        (999, b"", Unknown("gateway_answered_nonsense")),
    ],
)
def test_each_known_answer_has_its_outcome(status: int, body: bytes, outcome: SendOutcome) -> None:
    """I6: one row for each answer the gateway, or a proxy before it, is known to give."""
    assert classify(status, body, retry_after_seconds=7.0) == outcome


@pytest.mark.parametrize(
    "phrase",
    ["Connection Closed", 'requires property "text"', "The instance does not exist", "exists: false"],
)
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_customers_text_inside_a_database_error_proves_nothing(status: int, phrase: str) -> None:
    """I6: the error after a send quotes the stored row; no phrase in it may pass for "not sent"."""
    body = refusal(status, [f'{PRISMA} data: {{ conversation: "{phrase}" }}'])
    assert classify(status, body) == Unknown("sent_but_unrecorded", may_resend=False)


def test_a_phrase_outside_response_message_proves_nothing() -> None:
    """I6: only `response.message` is the gateway's word."""
    body = json.dumps({"echo": "Connection Closed", "response": {"message": ["Error: Timed Out"]}}).encode()
    assert classify(400, body) == Unknown("gateway_answered_400")


FIELDS = st.sampled_from(["key", "id", "code", "response", "message", "exists"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["key", "id", "response", "message"]), inner)
    ),
)


@given(st.integers(), st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_answer_has_an_outcome(status: int, body: bytes) -> None:
    """I6: total over status and body, never an error, and no success without a 2xx."""
    outcome = classify(status, body)
    assert isinstance(outcome, Sent | NotSent | Unknown)
    assert not isinstance(outcome, Sent) or 200 <= status < 300


@given(st.sampled_from([500, 502, 503, 504, 520]), st.binary(max_size=50))
def test_a_server_error_without_a_known_phrase_is_never_proof(status: int, body: bytes) -> None:
    """I6."""
    assert isinstance(classify(status, body), Unknown)
