"""Lists of conversations (`majlis actors`, `majlis silent`), and what an operator changes in them or in whole
instances: `majlis flush`, `majlis pause`, `majlis resume`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer
from rich.text import Text

from daemon.cli.client import (
    LISTED,
    USAGE_ERROR,
    ConfigOption,
    Failure,
    JsonOption,
    LimitOption,
    OnlyInstanceOption,
    RevealOption,
    SetOption,
    client_of,
    conversation_path,
    option,
    view,
)
from daemon.cli.render import (
    attempt,
    cell,
    count,
    display,
    duration,
    moment,
    print_json,
    table,
    without_effect,
)
from daemon.operate.actors import ActorPage, ActorRow, ActorsQuery
from daemon.operate.conversations import Flushed, OptOutView, SilentPage, SilentView
from daemon.operate.instances import InstanceFlushed, InstancePause, InstanceResumed, PauseOne
from daemon.operate.takeovers import ResumeByLabel, TakeoverBegun, TakeoverEnded

MaybeConversation = Annotated[
    str | None,
    typer.Argument(
        metavar="CONVERSATION",
        help="Its label, as in the logs and `majlis actors`, or INSTANCE/PHONE, e.g. acme/551199990000.",
    ),
]
WholeInstanceOption = Annotated[
    str | None,
    typer.Option("--instance", "-i", metavar="NAME", help="A whole instance instead of one conversation."),
]
AllOption = Annotated[bool, typer.Option("--all", help="All instances.")]


def actors(
    state: Annotated[str | None, option(ActorsQuery, "state", metavar="STATE")] = None,
    instance: OnlyInstanceOption = None,
    sort: Annotated[str, option(ActorsQuery, "sort", metavar="ORDER")] = ActorsQuery().sort,
    limit: LimitOption = LISTED,
    page: Annotated[int, typer.Option(min=1, metavar="N", help="Page number; --limit is the page size.")] = 1,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """List active conversations and what each one is waiting for.

    The most urgent come first: parked, holding, retrying, answering, queued, waiting, idle. The label identifies the
    conversation in logs and in other commands, without the phone number.

    Example: majlis actors --state holding --instance acme

    Example: majlis actors --sort messages --limit 20 --page 2
    """
    query = {
        **{"state": state, "instance": instance, "limit": limit, "reveal": reveal, "sort": sort},
        "offset": (page - 1) * limit,
    }
    document = client_of(config, set_).get("/v1/actors", query)
    if json:
        print_json(document)
        return
    found = view(document, ActorPage)
    if found.actors:
        shown = table(
            "label",
            "instance",
            "contact",
            "state",
            "msgs",
            "time left",
            "reason",
            right=("msgs", "time left"),
            folding=("instance", "reason"),
        )
        for actor in found.actors:
            shown.add_row(*_actor_cells(actor))
        display(shown)
    display(cell(_page_summary(found, page, limit), "dim"))


def _actor_cells(actor: ActorRow) -> list[Text]:
    reason = ", ".join(words for words in (actor.why, attempt(actor.tries)) if words)
    waiting, left = str(actor.waiting_messages), duration(actor.closes_in_seconds)
    return [
        cell(item)
        for item in (actor.conversation, actor.instance, actor.contact, actor.state, waiting, left, reason)
    ]


def _page_summary(page: ActorPage, number: int, limit: int) -> str:
    more = max(0, page.matching - (number - 1) * limit - len(page.actors))
    hidden = f"; {more:,} more, use --limit and --page" if more else ""
    some = f"{page.matching:,} of " if page.matching != page.total else ""
    return f"{some}{count(page.total, 'active conversation')}{hidden}"


def silent(
    instance: OnlyInstanceOption = None,
    limit: LimitOption = LISTED,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """List conversations in which Majlis is silent, and why.

    `majlis resume CONVERSATION` hands one back to Majlis. An opt-out is the customer's: it ends with a start word, or
    with `--opt-out`.

    Example: majlis silent --instance acme --reveal
    """
    query = {"instance": instance, "limit": limit, "reveal": reveal}
    document = client_of(config, set_).get("/v1/silent", query)
    if json:
        print_json(document)
        return
    page = view(document, SilentPage)
    if page.conversations:
        shown = table("label", "instance", "contact", "reason (UTC)", folding=("instance", "reason (UTC)"))
        for found in page.conversations:
            cells = (found.conversation, found.instance, found.contact, _why_silent(found))
            shown.add_row(*map(cell, cells))
        display(shown)
    more = page.matching - len(page.conversations)
    hidden = f"; {more:,} more, use --limit" if more else ""
    display(cell(f"{count(page.matching, 'silent conversation')}{hidden}", "dim"))


def _why_silent(found: SilentView) -> str:
    reasons = []
    if found.taken_over:
        until = moment(found.taken_over.until)
        reasons.append(f"taken over until {until}{without_effect('takeover', found.taken_over.heeded)}")
    if found.escalated:
        why = f": {found.escalated.why}" if found.escalated.why else ""
        since = moment(found.escalated.since)
        reasons.append(f"escalated since {since}{why}{without_effect('escalation', found.escalated.heeded)}")
    if found.opted_out:
        reasons.append(opted_out(found.opted_out))
    if found.machine:
        signs = f" ({', '.join(found.machine.signs)})" if found.machine.signs else ""
        off = "" if found.machine.heeded else ", without effect: machines.enabled is off"
        reasons.append(f"silent to a machine until {moment(found.machine.until)}{signs}{off}")
    return ", ".join(reasons)


def opted_out(found: OptOutView) -> str:
    ignored = "" if found.heeded else ", without effect: opt_out.enabled is off"
    return f"opted out by the customer since {moment(found.since)}{ignored}"


def flush(
    conversation: MaybeConversation = None,
    instance: WholeInstanceOption = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Close open windows now: of one conversation, of an instance, or all of them.

    The waiting messages are answered at once. A turn that waits to be retried is retried now, and a parked conversation
    is restarted.

    Example: majlis flush acme/551199990000

    Example: majlis flush --instance acme
    """
    document = client_of(config, set_).post(f"{_path(conversation, instance, all_)}/flush")
    if json:
        print_json(document)
        return
    if conversation is None:
        whole = view(document, InstanceFlushed)
        what = f"{count(whole.messages, 'message')} in {count(whole.conversations, 'conversation')}"
        display(cell(f"{whole.instance or 'all instances'}: {what} will be answered now"))
        return
    flushed = view(document, Flushed)
    display(cell(f"{flushed.conversation}: {count(flushed.messages, 'message')} will be answered now"))


def pause(
    conversation: MaybeConversation = None,
    instance: WholeInstanceOption = None,
    all_: AllOption = False,
    seconds: Annotated[int | None, option(PauseOne, "seconds", metavar="SECONDS")] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Pause an instance or all instances, or start a human take-over in one conversation.

    `majlis pause INSTANCE/PHONE` starts a **human take-over**: Majlis is silent in that conversation. What the customer
    writes meanwhile becomes history and is not answered later. The same happens when a person of the business writes
    in the chat.

    `majlis pause --instance NAME` and `--all` **pause**: messages are still acknowledged and stored, running turns
    finish, no new turn starts. The stored messages are answered after the pause. It applies to every daemon on this
    database and survives restarts.

    `majlis resume` ends either.

    Example: majlis pause acme/551199990000 --seconds 3600

    Example: majlis pause --instance acme
    """
    path = f"{_path(conversation, instance, all_)}/pause"
    document = client_of(config, set_).post(path, {"seconds": seconds})
    if json:
        print_json(document)
        return
    if conversation is None:
        pause = view(document, InstancePause)
        name, before = pause.instance or "all instances", pause.stood_until
        instead = "" if before is None else f"; the pause before this one lasted {_until(before)}"
        display(
            cell(f"{name}: paused {_until(pause.until)}; messages are stored and answered later{instead}")
        )
        return
    paused = view(document, TakeoverBegun)
    kept = ": the take-over that was in force lasts at least as long and stays" if paused.stood else ""
    nobody = "" if paused.has_written else "; nobody has written there yet: is the number right?"
    display(cell(f"{paused.conversation}: taken over, Majlis is silent {_until(paused.until)}{kept}{nobody}"))


def _until(end: str) -> str:
    return f"until {moment(end)} UTC" if end else "until `majlis resume`"


def resume(
    conversation: MaybeConversation = None,
    instance: WholeInstanceOption = None,
    all_: AllOption = False,
    opt_out: Annotated[bool, option(ResumeByLabel, "opt_out", "--opt-out")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """End the pause of an instance or of all, or hand a conversation back to Majlis.

    In a conversation this ends a human take-over, an escalation and a silence to a machine. What was written before is
    context for the next answer and is not answered itself. A parked or holding conversation continues, as with `majlis
    flush`.

    A customer who wrote a stop word stays opted out: that is his to end, with a start word. `--opt-out` ends it.

    Example: majlis resume acme/551199990000

    Example: majlis resume --instance acme
    """
    if opt_out and conversation is None:
        raise Failure("--opt-out is for one conversation", USAGE_ERROR)
    query = {"opt_out": True} if opt_out else None
    document = client_of(config, set_).post(f"{_path(conversation, instance, all_)}/resume", query)
    if json:
        print_json(document)
        return
    if conversation is None:
        name = view(document, InstanceResumed).instance
        display(cell(f"{name or 'all instances'}: resumed, turns start again"))
        return
    resumed = view(document, TakeoverEnded)
    display(cell(f"{resumed.conversation}: {_what_ended(resumed)}"))


def _path(conversation: str | None, instance: str | None, all_: bool) -> str:
    """The route of exactly one of the three."""
    if sum((conversation is not None, instance is not None, all_)) != 1:
        raise Failure("name a conversation, or give --instance NAME, or --all", USAGE_ERROR)
    if conversation is not None:
        return conversation_path(conversation)
    return f"/v1/instances/{quote(instance, safe='')}" if instance is not None else "/v1"


def _what_ended(resumed: TakeoverEnded) -> str:
    ended = [
        *(["escalation ended"] if resumed.escalated else []),
        *(["take-over ended"] if resumed.taken_over else []),
        *(["opt-out ended"] if resumed.opted_out else []),
        *(["silence to a machine ended"] if resumed.machine else []),
        *([f"no longer {resumed.state}"] if resumed.state else []),
        *(["the customer is opted out and stays so"] if resumed.still_opted_out else []),
    ]
    return ", ".join(ended)
