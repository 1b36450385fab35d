"""Which targets of the business get which notices."""

from __future__ import annotations

from actors import notices
from actors.identity import Conversation
from actors.instance import Terms
from tests.support.ledgers import batch


def test_a_customer_of_the_playground_causes_no_notice() -> None:
    terms = Terms(notify_numbers=("966500000001",), has_notify_webhook=True)
    burst = batch("a person please")
    assert len(notices.escalated(burst, "asks_for_human", terms)) == 2
    made_up = batch("a person please", conversation=Conversation("demo", "999012345678901"))
    assert notices.escalated(made_up, "asks_for_human", terms) == ()
