"""Lists of conversations: `majlis actors`, what each waits for, and `majlis silent`, where a person speaks."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from daemon.cli.client import view
from daemon.cli.options import ConfigOption, JsonOption, RevealOption, SetOption, client_of
from daemon.cli.render import cell, count, display, duration, moment, print_json, table
from daemon.operate.actors import ActorPage, ActorRow
from daemon.operate.conversations import SilentPage, SilentView


def actors(
    state: Annotated[str | None, typer.Option(help="Only this state, e.g. holding or parked.")] = None,
    instance: Annotated[str | None, typer.Option(help="Only this instance.")] = None,
    sort: Annotated[str, typer.Option(help="urgency, left, messages, tries or instance.")] = "urgency",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most lines to show.")] = 50,
    page: Annotated[int, typer.Option(min=1, help="Which of the pages of that many lines.")] = 1,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Active conversations, and what each waits for.

    The most urgent first: parked, held, to be tried again, answering, queued, waiting, idle.

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
            "left",
            "why",
            right=("msgs", "left"),
            folding=("instance", "why"),
        )
        for actor in found.actors:
            shown.add_row(*_actor_cells(actor))
        display(shown)
    display(cell(_page_summary(found, page, limit), "dim"))


def _actor_cells(actor: ActorRow) -> list[Text]:
    tries = [f"try {actor.tries}"] if actor.tries > 1 else []
    why = ", ".join([*([actor.why] if actor.why else []), *tries])
    waiting, left = str(actor.waiting_messages), duration(actor.closes_in_seconds)
    return [
        cell(item)
        for item in (actor.conversation, actor.instance, actor.contact, actor.state, waiting, left, why)
    ]


def _page_summary(page: ActorPage, number: int, limit: int) -> str:
    more = max(0, page.matching - (number - 1) * limit - len(page.actors))
    hidden = f"; {more:,} more, see --limit and --page" if more else ""
    some = f"{page.matching:,} of " if page.matching != page.total else ""
    return f"{some}{count(page.total, 'active conversation')}{hidden}"


def silent(
    instance: Annotated[str | None, typer.Option(help="Only this instance.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The most lines to show.")] = 50,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Conversations where Majlis is silent: a person took over, or is asked for.

    `majlis resume` ends that, for one of them.

    Example: majlis silent --instance acme --reveal
    """
    query = {"instance": instance, "limit": limit, "reveal": reveal}
    document = client_of(config, set_).get("/v1/silent", query)
    if json:
        print_json(document)
        return
    page = view(document, SilentPage)
    if page.conversations:
        shown = table("label", "instance", "contact", "why", folding=("instance", "why"))
        for found in page.conversations:
            cells = (found.conversation, found.instance, found.contact, _why_silent(found))
            shown.add_row(*map(cell, cells))
        display(shown)
    more = page.matching - len(page.conversations)
    hidden = f"; {more:,} more, see --limit" if more else ""
    display(cell(f"{count(page.matching, 'silent conversation')}{hidden}", "dim"))


def _why_silent(found: SilentView) -> str:
    """Times are UTC."""
    reasons = []
    if found.taken_over:
        heeded = "" if found.taken_over.heeded else " (not heeded: takeover is off)"
        reasons.append(f"taken over until {moment(found.taken_over.until)}{heeded}")
    if found.escalated:
        why = f": {found.escalated.why}" if found.escalated.why else ""
        heeded = "" if found.escalated.heeded else " (not heeded: escalation is off)"
        reasons.append(f"escalated since {moment(found.escalated.since)}{why}{heeded}")
    return ", ".join(reasons)
