"""Try a prompt before it is live: a question, or a turn that was answered, asked again with the draft.

Nothing is sent, stored or cached, and no conversation knows of it. What it costs is real, and counts for the day.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol

import msgspec
import trio
from msgspec import Meta

from actors.errors import Conflict, Missing, ResponderHeld, TurnFailed, TurnRefused
from actors.identity import Conversation
from actors.messages import Answer, Message, Prompt, Spent
from daemon.ledger.records import Records
from daemon.operate.call import AdminCall
from daemon.operate.parameters import InstanceName, Parameters, Reveal
from daemon.operate.route import Route
from daemon.operate.turns import TurnNumber
from daemon.tenants.keys import MAX_PROMPT_CHARS
from daemon.web.http1 import Response, json_response

ANSWER_SECONDS = 20.0
"""How long one answer may take: less than the admin interface gives an answer of its own."""
MAX_DRAFT_CHARS = MAX_PROMPT_CHARS
"""What may be live may be tried."""
MAX_MESSAGES = 20
MAX_TEXT_CHARS = 4_096

Draft = (
    Annotated[
        str, Meta(max_length=MAX_DRAFT_CHARS, description="The prompt to try; null: the one that is live.")
    ]
    | None
)


class DraftAsked(Protocol):
    @property
    def prompt(self) -> Prompt: ...

    @property
    def escalation(self) -> str: ...


class Prompts(Protocol):
    """What the responder is given."""

    async def fresh(self, instance: str, texts: list[str], draft: str | None) -> DraftAsked: ...

    async def again(
        self, turn: int, conversation: Conversation, messages: tuple[Message, ...], draft: str | None
    ) -> DraftAsked: ...


class TriedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the responder said to a draft."""

    answer: str
    provider: str = ""
    model: str = ""
    seconds: float
    cost: float = 0.0
    """In the currency of the providers' prices."""
    input_tokens: int = 0
    output_tokens: int = 0
    escalation: str = ""
    """Why a person would have been asked for in place of this answer; empty: nobody would."""
    silent: bool = False
    """The model chose to say nothing."""
    failed: str = ""
    """Why there is no answer, in one stable word."""


class SaidBefore(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    provider: str = ""
    cost: float = 0.0
    seconds: float | None = None
    """What the answer took, with everything before it; None: not known."""


class SaidNow(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    provider: str = ""
    cost: float = 0.0
    seconds: float
    escalation: str = ""
    failed: str = ""


class TurnTriedAgain(msgspec.Struct, frozen=True, kw_only=True):
    """One turn, beside the draft's answer to it. Texts are masked unless revealed."""

    turn: int
    conversation: str
    text: str
    """What the customer wrote."""
    before: SaidBefore
    now: SaidNow


class NewTrial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    messages: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]],
        Meta(min_length=1, max_length=MAX_MESSAGES, description="A burst of a customer without history."),
    ]
    prompt: Draft = None


class TurnTrial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prompt: Draft = None


class TryInstance(Parameters, frozen=True, kw_only=True):
    instance: InstanceName


class TryTurn(Parameters, frozen=True, kw_only=True):
    id: TurnNumber
    reveal: Reveal = False


class Drafts:
    """`ask` is the responder's; `label` names a conversation as the logs do. Methods may raise `Unavailable`."""

    def __init__(
        self,
        prompts: Prompts,
        ask: Callable[[Prompt], Awaitable[Answer]],
        records: Records,
        label: Callable[[Conversation], str],
    ) -> None:
        self._prompts = prompts
        self._ask = ask
        self._records = records
        self._label = label

    async def fresh(self, instance: str, trial: NewTrial) -> TriedAnswer:
        """Raises `Missing` for an unknown instance."""
        if not await self._records.knows_instance(instance):
            raise Missing(f"The database has no instance called {instance}: check the spelling.")
        return await self._tried(await self._prompts.fresh(instance, trial.messages, trial.prompt))

    async def again(self, number: int, draft: str | None) -> TurnTriedAgain:
        """Raises `Missing` for an unknown turn, `Conflict` for one without an answer of a provider."""
        turn = await self._records.turn(number)
        if turn is None:
            raise Missing(f"There is no turn {number}: see `majlis show` of its conversation.")
        if turn.answer is None or turn.rule not in ("", "shadow"):
            raise Conflict(f"Turn {number} has no answer of a provider to lay a draft beside.")
        tried = await self._tried(await self._prompts.again(number, turn.conversation, turn.messages, draft))
        took = (turn.answered_at - turn.created_at).total_seconds() if turn.answered_at else None
        return TurnTriedAgain(
            turn=number,
            conversation=self._label(turn.conversation),
            text=turn.text,
            before=SaidBefore(
                text=turn.answer,
                provider=turn.provider or "",
                cost=turn.cost_micros / 1_000_000,
                seconds=took,
            ),
            now=SaidNow(
                text=tried.answer,
                provider=tried.provider,
                cost=tried.cost,
                seconds=tried.seconds,
                escalation=tried.escalation,
                failed=tried.failed,
            ),
        )

    async def _tried(self, asked: DraftAsked) -> TriedAnswer:
        began, prompt = trio.current_time(), asked.prompt
        answer, failed, spent = Answer("", ""), "", Spent()
        with trio.move_on_after(ANSWER_SECONDS) as scope:
            try:
                answer = await self._ask(prompt)
                spent = Spent(answer.input_tokens, answer.output_tokens, answer.cost_micros)
            except (TurnFailed, TurnRefused, ResponderHeld) as error:
                failed, spent = error.reason, error.spent
        if scope.cancelled_caught:
            failed = "timed_out"
        if spent != Spent():
            await self._records.add_usage(prompt.instance, spent)
        return TriedAnswer(
            answer=answer.text,
            provider=answer.provider,
            model=answer.model,
            seconds=round(trio.current_time() - began, 3),
            cost=spent.cost_micros / 1_000_000,
            input_tokens=spent.input_tokens,
            output_tokens=spent.output_tokens,
            escalation=asked.escalation,
            silent=answer.is_silence,
            failed=failed,
        )


async def _try(drafts: Drafts, call: AdminCall, asked: TryInstance) -> Response:
    """Ask a question with a draft of the prompt: nothing is sent or stored, and the cost is real."""
    await call.audit("try", f"instance {asked.instance}")
    return json_response(200, await drafts.fresh(asked.instance, call.body))


async def _try_turn(drafts: Drafts, call: AdminCall, asked: TryTurn) -> Response:
    """Ask what a turn answered once more, with a draft of the prompt, and lay both answers side by side."""
    await call.audit("try", f"turn {asked.id}")
    return await call.answer(await drafts.again(asked.id, call.body.prompt), f"turn {asked.id}")


ROUTES = (
    Route(
        "POST", "/v1/instances/{instance}/try", Drafts, _try, "operate", TriedAnswer, TryInstance, NewTrial
    ),
    Route("POST", "/v1/turns/{id}/try", Drafts, _try_turn, "operate", TurnTriedAgain, TryTurn, TurnTrial),
)
