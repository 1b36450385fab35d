"""`majlis shadow`: what Majlis would have said, beside what the old system sent."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from daemon.cli.client import ConfigOption, JsonOption, RevealOption, SetOption, client_of, option, view
from daemon.cli.render import cell, count, display, facts, moment, money, print_json
from daemon.operate.shadow import OldReply, ShadowQuery, ShadowReport, ShadowSummary, ShadowTurnView


def shadow(
    instance: Annotated[str, typer.Argument(metavar="NAME", help="The instance.")],
    limit: Annotated[int, option(ShadowQuery, "limit", "--limit", "-n")] = 20,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Lay what Majlis would have said in mode shadow beside what the old system sent.

    Seconds are counted from when the customer wrote; for Majlis the window is part of them.

    Example: majlis shadow acme --limit 50 --reveal
    """
    path = f"/v1/instances/{quote(instance, safe='')}/shadow"
    document = client_of(config, set_).get(path, {"limit": limit, "reveal": reveal})
    if json:
        print_json(document)
        return
    report = view(document, ShadowReport)
    for turn in reversed(report.turns):
        _show(turn)
    display(cell(_summed(report)))


def _show(turn: ShadowTurnView) -> None:
    majlis = turn.majlis
    if majlis.text:
        after = "" if majlis.seconds is None else f"{majlis.seconds:,.1f} s, "
        said = f"{majlis.text}  ({after}{majlis.provider}, {money(majlis.cost)})"
    else:
        said = f"nothing, by rule {majlis.rule or 'none: it failed'}"
    rows = [("customer", turn.text), ("Majlis", said)]
    rows += [("old system" if one.sender == "program" else one.sender, _old(one)) for one in turn.old]
    if not turn.old:
        rows.append(("old system", "nothing"))
    display(cell(f"{moment(turn.at)}  {turn.conversation}  turn {turn.id}", "bold"), facts(rows), "")


def _old(one: OldReply) -> str:
    return f"{one.text}  ({one.seconds:,.1f} s)"


def _summed(report: ShadowReport) -> str:
    summed = report.summary
    if not summed.turns:
        return f"nothing was heard in mode shadow (mode now: {report.mode})"
    return (
        f"{count(summed.turns, 'turn')}: both answered {summed.both}, only Majlis {summed.only_majlis}, only the old "
        f"system {summed.only_old}, nobody {summed.neither}; {_medians(summed)}cost {money(summed.cost)}; "
        f"mode now: {report.mode}"
    )


def _medians(summed: ShadowSummary) -> str:
    known = {"Majlis": summed.majlis_seconds, "the old system": summed.old_seconds}
    medians = [f"{who} {seconds:,.1f} s" for who, seconds in known.items() if seconds is not None]
    return f"median {', '.join(medians)}; " if medians else ""
