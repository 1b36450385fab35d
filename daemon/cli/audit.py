"""`majlis audit`: what operators did, and what became of it."""

from __future__ import annotations

from typing import Annotated

from daemon.cli.client import ConfigOption, JsonOption, SetOption, client_of, option, view
from daemon.cli.render import cell, count, display, print_json, table
from daemon.operate.audit_log import AuditPage, AuditQuery

_STYLES = {"refused": "yellow", "failed": "red", "": "dim"}


def audit(
    limit: Annotated[int, option(AuditQuery, "limit", "--limit", "-n")] = 50,
    action: Annotated[str, option(AuditQuery, "action", "--action", metavar="NAME")] = "",
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show what operators changed and revealed: who, when, and what became of it.

    Outcomes: done; refused, so that nothing was changed; failed, so that it may be half done; "?" where that
    is not known, because the daemon ended first.

    Example: majlis audit --action pause
    """
    document = client_of(config, set_).get("/v1/audit", {"limit": limit, "action": action or None})
    if json:
        print_json(document)
        return
    page = view(document, AuditPage)
    if page.entries:
        shown = table("when (UTC)", "who", "action", "target", "outcome", folding=("target", "outcome"))
        for entry in page.entries:
            became = f"{entry.outcome or '?'}{f' ({entry.reason})' if entry.reason else ''}"
            cells = (entry.at[:19].replace("T", " "), entry.who, entry.action, entry.target)
            shown.add_row(*map(cell, cells), cell(became, _STYLES.get(entry.outcome, "")))
        display(shown)
    display(cell(count(len(page.entries), "action"), "dim"))
