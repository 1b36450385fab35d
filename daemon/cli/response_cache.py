"""`majlis cache`: the response cache."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import ConfigOption, JsonOption, SetOption, client_of, view
from daemon.cli.render import cell, count, display, moment, money, print_json, table
from daemon.knowledge.cache_stats import REASONS, CacheStats, CacheWindow
from daemon.knowledge.library import Cleared

CacheInstanceOption = Annotated[
    str | None, typer.Option("--instance", "-i", metavar="NAME", help="Only this instance. Default: all.")
]


def cache_stats(
    instance: CacheInstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show which share of the questions was answered from the cache, why the others were not, and what is cached.

    Example: majlis cache stats --instance acme
    """
    document = client_of(config, set_).get("/v1/cache", {"instance": instance})
    if json:
        print_json(document)
        return
    stats = view(document, CacheStats)
    if stats.week.questions:
        display(cell(_answered(stats)))
        _show_outcomes(stats)
    else:
        display(cell("no questions in the last 7 days", "dim"))
    if stats.instances:
        numbers = ("entries", "with vectors", "hits", "24 h", "7 days")
        shown = table("instance", *numbers, "oldest (UTC)", right=numbers, folding=("instance",))
        for row in stats.instances:
            figures = (
                f"{row.entries:,}",
                f"{row.with_vectors:,}",
                f"{row.hits:,}",
                _share(row.day),
                _share(row.week),
            )
            oldest = moment(row.oldest_at) if row.oldest_at else "-"
            shown.add_row(*(cell(item) for item in (row.instance, *figures, oldest)))
        display(shown)
    entries = sum(row.entries for row in stats.instances)
    display(cell(count(entries, "cached answer"), "dim"))


def _answered(stats: CacheStats) -> str:
    week = stats.week
    tokens = week.saved_input_tokens + week.saved_output_tokens
    return (
        f"answered from the cache: {_share(week)} of questions (7 days), {_share(stats.day)} (24 h); "
        f"saved in 7 days: {count(week.hits, 'call')}, {tokens:,} tokens, cost {money(week.saved_cost)}"
    )


def _show_outcomes(stats: CacheStats) -> None:
    """Every outcome of the week, the most frequent first."""
    what, numbers = "what became of the questions", ("24 h", "7 days")
    shown = table(what, *numbers, right=numbers, roomy=(what,))
    day, week = stats.day, stats.week
    for name, questions in week.outcomes.items():
        shown.add_row(cell(_reason(name)), cell(f"{day.outcomes.get(name, 0):,}"), cell(f"{questions:,}"))
    for name, questions in week.not_kept.items():
        words = f"answer not kept: {_reason(name)}"
        shown.add_row(cell(words), cell(f"{day.not_kept.get(name, 0):,}"), cell(f"{questions:,}"))
    display(shown)


def _reason(name: str) -> str:
    return next((f"{known}: {words}" for known, words in REASONS.items() if known == name), name)


def _share(window: CacheWindow) -> str:
    return f"{window.share:.0%}" if window.questions else "-"


def cache_clear(
    instance: CacheInstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Delete cached answers; the next questions go to the responder again.

    Example: majlis cache clear --instance acme
    """
    document = client_of(config, set_).post("/v1/cache/clear", {"instance": instance})
    if json:
        print_json(document)
        return
    entries = view(document, Cleared).entries
    nothing = f": {instance} had none, see `majlis cache stats`" if instance and not entries else ""
    display(cell(f"{count(entries, 'cached answer')} deleted{nothing}"))
