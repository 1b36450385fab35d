"""What must be true of conversations at the end, seen from both ends: the model and the phones."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace

from tests.acceptance.harness import DaemonUnderTest, Said
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.patience import PATIENCE_SECONDS
from tests.support.payloads import NOW, edited

FIRST_TIMESTAMP = NOW
_REPLY = re.compile(r"Answer \d+: ")
_numbers = itertools.count(1)


@dataclass
class Contact:
    """A contact who writes. Every text has a unique tag."""

    instance: str = "demo"
    phone: str = field(default_factory=lambda: f"55119{next(_numbers):08d}")
    said: list[Said] = field(default_factory=list)

    @property
    def tag(self) -> str:
        return f"<{self.phone}>"

    def says(self, words: str = "") -> Said:
        """The next message, with a timestamp after the last one's."""
        number = len(self.said) + 1
        text = f"{self.tag} {number} {words}".strip()
        said = Said(self.instance, self.phone, text, f"{self.phone}-{number}", FIRST_TIMESTAMP + number)
        self.said.append(said)
        return said

    def corrects(self, number: int) -> dict[str, object]:
        """The edit of a message that nobody has answered yet: to be heard as it says now. Counted from 0."""
        old = self.said[number]
        self.said[number] = new = replace(old, text=f"{old.text} corrected")
        return edited(new.instance, new.id, new.text, new.timestamp + 1)

    def batches_at(self, model: FakeOpenAI) -> list[tuple[str, ...]]:
        """The prompts to the model, batch by batch, including repeated ones."""
        return [tuple(asked.splitlines()) for asked in model.asked() if self.tag in asked]

    def answered_at(self, model: FakeOpenAI) -> list[tuple[str, ...]]:
        """The same, each once, and without those whose call was given up: the next question goes on from them."""
        once = list(dict.fromkeys(self.batches_at(model)))
        pairs = itertools.zip_longest(once, once[1:], fillvalue=())
        return [batch for batch, later in pairs if later[: len(batch)] != batch]

    def replies_at(self, gateway: FakeEvolution) -> list[str]:
        """The messages that reached the phone, in order."""
        return gateway.texts(self.phone)

    def is_answered(self, gateway: FakeEvolution) -> bool:
        """Whether every message is in some reply."""
        replies = "\n".join(self.replies_at(gateway))
        return all(said.text in replies for said in self.said)

    def check(self, model: FakeOpenAI, gateway: FakeEvolution, spare_questions: int = 0) -> None:
        """Assert that every message reached the model once and in order, and every batch got one reply, in order.

        Args:
          spare_questions: how many questions may have been asked more than once.
        """
        asked = self.batches_at(model)
        batches = self.answered_at(model)
        assert [line for batch in batches for line in batch] == [said.text for said in self.said], asked
        assert len(asked) <= len(set(asked)) + spare_questions, f"bought more answers than needed: {asked}"
        replies = [_REPLY.sub("", reply, count=1) for reply in self.replies_at(gateway)]
        assert replies == ["\n".join(batch) for batch in batches]


def wait_answered(
    daemon: DaemonUnderTest, gateway: FakeEvolution, *contacts: Contact, seconds: float = PATIENCE_SECONDS
) -> None:
    """Wait until every contact has all answers and the daemon has nothing left to do."""

    def all_answered() -> bool:
        return all(contact.is_answered(gateway) for contact in contacts)

    try:
        daemon.wait_for(all_answered, "everybody is answered", seconds)
    except AssertionError as error:
        unheard = [contact.tag for contact in contacts if not contact.is_answered(gateway)]
        letters = daemon.rows("SELECT turn_id, reason, detail FROM majlis_dead_letters ORDER BY id")
        raise AssertionError(f"not answered: {unheard}; dead letters: {letters}\n{error}") from None
    daemon.wait_settled(seconds)


def check_books(daemon: DaemonUnderTest) -> None:
    """I2: every acknowledged message ended once, or is pending, and no turn is left. I3: batches are disjoint, but for
    those that were superseded. No duplicate rows."""
    status = daemon.wait_settled()
    ends = [int(str(status[name])) for name in ("answered", "suppressed", "dead", "waiting_messages")]
    assert status["acknowledged"] == sum(ends), status
    turns = daemon.rows(
        "SELECT conversation_key, lo, hi, message_ids FROM majlis_turns WHERE state <> 'superseded' "
        "ORDER BY conversation_key, lo"
    )
    for _, own in itertools.groupby(turns, key=lambda turn: turn["conversation_key"]):
        before = 0
        for turn in own:
            assert before < turn["lo"] <= turn["hi"], "batches of a conversation overlap"
            before = turn["hi"]
    assert not daemon.rows("SELECT FROM majlis_open_turns"), "a turn has not ended"
    doubled = daemon.rows(
        "SELECT message_id FROM whatsapp_messages WHERE message_id <> '' "
        "GROUP BY conversation_id, message_id HAVING count(*) > 1"
    )
    assert not doubled, "a message is twice in whatsapp_messages"


def ids_in_turns(daemon: DaemonUnderTest) -> list[str]:
    """The ids of the messages of all turns that were not superseded, with repetitions."""
    sql = "SELECT unnest(message_ids) AS id FROM majlis_turns WHERE state <> 'superseded'"
    return [row["id"] for row in daemon.rows(sql)]
