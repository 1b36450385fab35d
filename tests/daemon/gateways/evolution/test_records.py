"""What the gateway's records show about a send."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.gateways.evidence import CLOCK_TOLERANCE_SECONDS, UNKNOWN_CLOCK_TOLERANCE_SECONDS
from daemon.gateways.evolution.outcome import evidence_from, records_in, sent_id

SINCE = 1_785_100_386
CONTACT = "5511900001095"


def record(
    *,
    id: object = "A",
    at: object = SINCE,
    from_me: object = True,
    jid: object = f"{CONTACT}@s.whatsapp.net",
    message: object = None,
) -> object:
    content = {"conversation": "Good day"} if message is None else message
    return {
        "key": {"id": id, "fromMe": from_me, "remoteJid": jid},
        "message": content,
        "messageTimestamp": at,
    }


def look(*records: object, known: frozenset[str] = frozenset(), contact: str = CONTACT) -> str | None:
    return sent_id(list(records), contact, "Good day", SINCE, known)


@pytest.mark.parametrize(
    "evidence",
    [
        record(),
        record(at=str(SINCE)),
        record(at={"low": SINCE, "high": 0, "unsigned": True}),
        record(at=SINCE + 1),
        record(message={"messageContextInfo": {}, "extendedTextMessage": {"text": "Good day"}}),
        record(message={"conversation": " Good day\r\n"}),
        record(jid=f"{CONTACT}:12@s.whatsapp.net"),
        record(jid=CONTACT),
        record(jid=f"+{CONTACT}"),
    ],
)
def test_a_record_of_the_send_is_evidence(evidence: object) -> None:
    """I6: the forms in which the gateway's versions write it."""
    assert look(evidence) == "A"


@pytest.mark.parametrize(
    "other",
    [
        record(from_me=False),
        record(from_me="true"),
        record(at=SINCE - 1),
        record(at=None),
        record(id=""),
        record(id=None),
        record(id="BOUND"),
        record(jid="5511900002222@s.whatsapp.net"),
        record(jid=None),
        record(message={"conversation": "Good evening"}),
        record(message={}),
        None,
        [],
        "text",
    ],
)
def test_another_record_is_not_evidence(other: object) -> None:
    """I6: neither a stranger's message, nor an older one, nor one that another reply owns."""
    assert look(other, known=frozenset({"BOUND"})) is None


def test_the_oldest_record_without_an_owner_is_taken() -> None:
    """I4: replies leave in order, so the older one was sent before."""
    records = (record(id="C", at=SINCE + 9), record(id="B", at=SINCE + 5), record(id="A", at=SINCE))
    assert look(*records, known=frozenset({"A"})) == "B"


def test_equal_records_of_one_second_map_in_their_order() -> None:
    """I4: the gateway lists the newest first; ids say nothing about the order."""
    records = (record(id="A"), record(id="C"), record(id="B"))
    assert look(*records) == "B"
    assert look(*records, known=frozenset({"B"})) == "C"
    assert look(*records, known=frozenset({"B", "C"})) == "A"


@pytest.mark.parametrize("skew", [-3600, -601, 0, 601, 3600])
@pytest.mark.parametrize("took", [0.0, 0.4, 25.0])
def test_a_record_is_dated_by_the_gateways_clock(skew: int, took: float) -> None:
    """I6: neither a clock that is off nor a slow answer hides a record, and an old one never counts."""
    claimed, answered = SINCE + 0.9, SINCE + 90.2
    date = math.floor(answered - took + skew)  # the answer was on its way for some time
    first = evidence_from(claimed, answered, float(date))
    assert math.floor(claimed + skew) >= first, "the record of this very send"
    assert math.floor(claimed + skew - took - CLOCK_TOLERANCE_SECONDS - 2) < first, "one from before it"


def test_where_the_gateways_clock_is_unknown_more_counts() -> None:
    assert evidence_from(SINCE + 0.9, SINCE + 9, None) == SINCE - UNKNOWN_CLOCK_TOLERANCE_SECONDS


def test_a_contact_behind_a_lid_is_found_under_either_form() -> None:
    assert look(record(jid="168500006331@lid"), contact="168500006331@lid") == "A"
    aliased = {
        "key": {
            "id": "A",
            "fromMe": True,
            "remoteJid": "1685@lid",
            "remoteJidAlt": f"{CONTACT}@s.whatsapp.net",
        },
        "message": {"conversation": "Good day"},
        "messageTimestamp": SINCE,
    }
    assert look(aliased) == "A"


def test_every_shape_of_an_answer_is_read() -> None:
    assert records_in([1]) == [1]
    assert records_in({"messages": [1]}) == [1]
    assert records_in({"messages": {"total": 1, "records": [1]}}) == [1]
    assert records_in({"messages": {"records": {}}}) is None
    assert records_in("nothing") is None


FIELDS = st.sampled_from(["key", "id", "fromMe", "remoteJid", "message", "conversation", "messageTimestamp"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(ANYTHING, max_size=3), st.text(), st.text(), st.integers(), st.frozensets(st.text()))
def test_any_records_can_be_read(
    records: list[object], contact: str, text: str, since: int, known: frozenset[str]
) -> None:
    sent_id(records, contact, text, since, known)
