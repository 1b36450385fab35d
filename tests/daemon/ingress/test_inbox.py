"""Where a payload's messages, take-overs and identity links go, before and after the stores run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest
import trio

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from actors.instance import ContextTerms, ReactionPolicy, Terms, UnknownTypePolicy
from actors.messages import Aside, Message, Receipt, WindowPolicy
from daemon.ingress.identity_links import KnownLinks
from daemon.ingress.inbound import Amendment, LateFailure, Link, OwnMessage, Typing
from daemon.ingress.inbox import Behind, DurableInbox

LID = "168500000006331@lid"
PHONE = "5511900000001"
NOW = 1_785_100_386
MESSAGE = Message("demo", LID, "A", "oi", NOW)
LINK = Link("demo", LID, PHONE)
OWN = OwnMessage(instance="demo", contact=PHONE, lid="", id="B", text="hello", sent_at=0)

FAILURE = LateFailure("demo", ("3EB0",), "failed")


class World:
    def __init__(self) -> None:
        self.appended: list[tuple[Message, float]] = []
        self.flushed: list[Conversation] = []
        self.taken_over: list[OwnMessage] = []
        self.failed_later: list[LateFailure] = []
        self.numbers_learned = 0
        self.typing: list[tuple[Conversation, bool]] = []
        self.runs = True
        self.together: list[int] = []
        self.links = KnownLinks()
        self.terms = _terms("context", True)
        self.found: Conversation | str = Conversation("demo", PHONE)
        behind = Behind(
            self._append,
            self._append_all,
            self._post,
            self._conversation_of,
            self._take_over,
            self._fail_later,
            self._flush,
            self._learned,
            lambda conversation, is_typing: self.typing.append((conversation, is_typing)),
        )
        self.inbox = DurableInbox(
            self.links,
            lambda: behind if self.runs else None,
            lambda instance: WindowPolicy(
                window_seconds=3.0 if instance == "demo" else 8.0,
                typing_seconds=0.0 if instance == "still" else 60.0,
            ),
            lambda instance: self.terms,
            lambda: NOW,
        )

    async def _append(self, message: Message, policy: WindowPolicy) -> Receipt:
        await trio.lowlevel.checkpoint()
        is_known = any(one.id == message.id for one, _ in self.appended)
        if not is_known:
            self.appended.append((message, policy.window_seconds))
        return Receipt(is_known, len(self.appended), 0, 0, 0, 1, False)

    async def _append_all(self, appends: Sequence[tuple[Message, WindowPolicy]]) -> list[Receipt | Exception]:
        self.together.append(len(appends))
        return [await self._append(*one) for one in appends]

    def _post(
        self,
        appends: Sequence[tuple[Message, WindowPolicy]],
        settled: Callable[[Sequence[Receipt | Exception]], None],
    ) -> None:
        self.appended += [(message, policy.window_seconds) for message, policy in appends]
        settled([Receipt(False, len(self.appended), 0, 0, 0, 1, False) for _ in appends])

    async def _conversation_of(self, amendment: Amendment) -> Conversation | str:
        await trio.lowlevel.checkpoint()
        return self.found

    async def _take_over(self, own: OwnMessage, _wrote: Sequence[int] = ()) -> bool:
        await trio.lowlevel.checkpoint()
        self.taken_over.append(own)
        return True

    async def _fail_later(self, failure: LateFailure) -> None:
        await trio.lowlevel.checkpoint()
        self.failed_later.append(failure)

    def _learned(self) -> None:
        self.numbers_learned += 1

    def _flush(self, conversation: Conversation) -> bool:
        self.flushed.append(conversation)
        return True


async def test_a_message_is_stored_under_its_instances_window() -> None:
    world = World()
    receipt = await world.inbox.accept(MESSAGE)
    assert (receipt.seq, world.appended) == (1, [(MESSAGE, 3.0)])


async def test_who_types_is_told_by_phone_or_lid_and_where_nobody_waits_to_nobody() -> None:
    world = World()
    world.inbox.typing(Typing("demo", LID, True))
    world.inbox.learn(LINK)
    world.inbox.typing(Typing("demo", LID, False))
    world.inbox.typing(Typing("still", PHONE, True))
    world.runs = False
    world.inbox.typing(Typing("demo", PHONE, True))
    assert world.typing == [(Conversation("demo", LID), True), (Conversation("demo", PHONE), False)]


async def test_a_message_under_a_known_lid_goes_to_the_phone_numbers_conversation() -> None:
    world = World()
    world.inbox.learn(LINK)
    await world.inbox.accept(MESSAGE)
    ((stored, _),) = world.appended
    assert stored == msgspec.structs.replace(MESSAGE, contact=PHONE, lid=LID)


async def test_a_lid_is_resolved_for_its_own_instance_only() -> None:
    """Two businesses may know the same person under one LID and not both know the number."""
    world = World()
    world.inbox.learn(LINK)
    other = msgspec.structs.replace(MESSAGE, instance="other")
    await world.inbox.accept(other)
    assert world.appended == [(other, 8.0)]


async def test_a_new_link_moves_what_waits_under_the_lid_once() -> None:
    world = World()
    for _ in range(3):
        world.inbox.learn(LINK)
    assert (world.flushed, world.numbers_learned) == ([Conversation("demo", LID)], 1)
    world.inbox.learn(Link("demo", LID, "5511900000002"))
    assert world.flushed == [Conversation("demo", LID)] * 2, "another number is news"


async def test_a_take_over_reaches_the_ledger() -> None:
    world = World()
    assert await world.inbox.take_over(OWN)
    assert world.taken_over == [OWN]


async def test_a_later_failure_reaches_the_ledger() -> None:
    world = World()
    await world.inbox.fail_later(FAILURE)
    assert world.failed_later == [FAILURE]


async def test_before_the_stores_run_nothing_is_acknowledged_and_links_are_kept() -> None:
    """I1: the gateway gets 503 and sends it again."""
    world = World()
    world.runs = False
    world.inbox.learn(LINK)
    with pytest.raises(MirrorUnavailable, match="starting"):
        await world.inbox.accept(MESSAGE)
    with pytest.raises(MirrorUnavailable, match="starting"):
        await world.inbox.take_over(OWN)
    with pytest.raises(MirrorUnavailable, match="starting"):
        await world.inbox.fail_later(FAILURE)
    assert (world.appended, world.taken_over, world.failed_later, world.flushed) == ([], [], [], [])
    world.runs = True
    await world.inbox.accept(MESSAGE)
    assert world.appended[0][0].contact == PHONE


def test_only_the_newest_links_are_kept() -> None:
    links = KnownLinks(max_links=2)
    for number in range(3):
        links.learn("demo", f"{number}@lid", PHONE)
    assert [links.phone_of("demo", f"{number}@lid") for number in range(3)] == [None, PHONE, PHONE]


async def test_the_messages_of_a_payload_are_stored_together_and_others_have_their_turn() -> None:
    """Each under its own conversation and window, in their order."""
    world, turns = World(), 0
    world.inbox.learn(LINK)

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += not world.appended

    messages = [msgspec.structs.replace(MESSAGE, id=f"M{number}") for number in range(1000)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        outcomes = await world.inbox.accept_all(messages)
        nursery.cancel_scope.cancel()
    assert world.together == [1000] and len(outcomes) == 1000
    assert [one.id for one, _ in world.appended] == [one.id for one in messages]
    assert {(one.contact, window) for one, window in world.appended} == {(PHONE, 3.0)}
    assert turns >= 5


def test_what_is_posted_without_a_task_is_stored_as_ever() -> None:
    """In the phone number's conversation, under its instance's window; before the stores run it is refused."""
    world, told = World(), list[Receipt | Exception]()
    world.inbox.learn(LINK)
    world.inbox.post([msgspec.structs.replace(MESSAGE, contact=LINK.lid)], told.extend)
    assert [(one.contact, window) for one, window in world.appended] == [(PHONE, 3.0)]
    assert [isinstance(one, Receipt) for one in told] == [True]
    world.runs = False
    told.clear()
    world.inbox.post([MESSAGE, MESSAGE], told.extend)
    assert [isinstance(one, MirrorUnavailable) for one in told] == [True, True]


REACTION = msgspec.structs.replace(MESSAGE, id="R", kind="reaction", aside="reaction")
EDIT = Amendment("demo", "E", target="A", text="olá", sent_at=NOW)


def _terms(
    reactions: ReactionPolicy = "context", edits: bool = True, unknown: UnknownTypePolicy = "answer"
) -> Terms:
    return Terms(context=ContextTerms(reactions=reactions, edits=edits, unknown_types=unknown))


def heard(message: Message, terms: Terms) -> tuple[list[Message], list[str]]:
    world = World()
    world.terms = terms
    kept, ignored = world.inbox.heard([message])
    return list(kept), list(ignored)


@pytest.mark.parametrize(
    ("age_seconds", "aside"),
    [(0, ""), (86_400, ""), (86_401, "backlog"), (-3_600, ""), (NOW, "")],
    ids=["new", "just new enough", "old", "a clock ahead of ours", "of unknown time"],
)
def test_what_is_old_when_it_arrives_is_set_aside(age_seconds: int, aside: Aside) -> None:
    """I2: nobody is answered days later as if he had just written; nothing is lost either."""
    message = msgspec.structs.replace(MESSAGE, sent_at=NOW - age_seconds)
    assert heard(message, _terms("context", True)) == (
        [msgspec.structs.replace(message, aside=aside)],
        [],
    )


def test_what_the_sweep_found_is_judged_by_the_sweep() -> None:
    swept = msgspec.structs.replace(MESSAGE, sent_at=1, swept="missed")
    assert heard(swept, _terms("context", True)) == ([swept], [])


def test_a_reaction_is_context_or_an_answer_or_nothing() -> None:
    assert heard(REACTION, _terms("context", True)) == ([REACTION], [])
    answered = msgspec.structs.replace(REACTION, aside="")
    assert heard(REACTION, _terms("answer", True)) == ([answered], [])
    assert heard(REACTION, _terms("ignore", True)) == ([], ["reaction"])


def test_a_message_of_an_unknown_type_is_heard_or_not_as_the_instance_wants() -> None:
    message = Message("demo", "966500000001", "m1", "[orbit invite]", NOW, kind="unknown")
    assert heard(message, _terms(unknown="answer"))[1] == []
    assert heard(message, _terms(unknown="ignore")) == ([], ["unknown_type"])


async def test_an_edit_is_a_message_of_its_targets_conversation() -> None:
    """I1: durable like any other before it is acknowledged."""
    world = World()
    world.found = Conversation("demo", LID)
    world.inbox.learn(LINK)
    assert await world.inbox.amend(EDIT) == ""
    assert await world.inbox.amend(msgspec.structs.replace(EDIT, id="D", text="", deleted=True)) == ""
    edit, deletion = (message for message, _ in world.appended)
    assert (edit.kind, edit.amends, edit.text, edit.contact) == ("edit", "A", "olá", PHONE)
    assert (deletion.kind, deletion.amends, deletion.text) == ("deletion", "A", "")


@pytest.mark.parametrize("is_seen_first_without_a_time", [False, True])
async def test_who_goes_back_to_an_earlier_text_is_heard(is_seen_first_without_a_time: bool) -> None:
    """I2: 2, 3, 2 and 3 boxes are three edits; each comes in two shapes, one of them without a time, and again."""
    world = World()
    for made_at, words in ((1, "3 boxes"), (2, "2 boxes"), (3, "3 boxes"), (2, "2 boxes"), (4, "2 boxes")):
        timed = Amendment("demo", f"A/edited-{words}", "A", text=words, sent_at=made_at, made_at=made_at)
        bare = msgspec.structs.replace(timed, sent_at=0, made_at=0)
        for shape in (bare, timed, timed) if is_seen_first_without_a_time else (timed, bare, timed):
            assert await world.inbox.amend(shape) == ""
    assert [(one.text, one.amends) for one, _ in world.appended] == [
        (f"{boxes} boxes", "A") for boxes in (3, 2, 3, 2)
    ]
    assert len({one.id for one, _ in world.appended}) == 4


async def test_what_changes_nothing_says_why() -> None:
    world = World()
    world.found = "own_edit"
    assert await world.inbox.amend(EDIT) == "own_edit"
    world.terms = _terms("context", False)
    assert await world.inbox.amend(EDIT) == "edits_off"
    assert world.appended == []


async def test_whatever_is_heard_in_mode_shadow_says_so_whichever_door_it_came_through() -> None:
    """Webhooks, sweeps and pushes end here, an edit too; what is only moved or replayed keeps what it was."""
    world = World()
    world.terms = msgspec.structs.replace(world.terms, mode="shadow")
    await world.inbox.accept(MESSAGE)
    await world.inbox.accept_all([msgspec.structs.replace(MESSAGE, id="B", swept="missed")])
    await world.inbox.amend(Amendment("demo", "C", "A", text="new"))
    world.terms = msgspec.structs.replace(world.terms, mode="live")
    await world.inbox.accept(msgspec.structs.replace(MESSAGE, id="D"))
    await world.inbox.accept(msgspec.structs.replace(MESSAGE, id="E", shadow=True))
    heard = {message.id: message.shadow for message, _ in world.appended}
    assert heard == {"A": True, "B": True, "C": True, "D": False, "E": True}
