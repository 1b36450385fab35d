"""`majlis cache`: the response cache."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import ConfigOption, JsonOption, SetOption, client_of, view
from daemon.cli.render import cell, count, display, moment, print_json, table
from daemon.knowledge.library import CacheStats, Cleared

CacheInstanceOption = Annotated[
    str | None, typer.Option("--instance", "-i", metavar="NAME", help="Only this instance. Default: all.")
]


def cache_stats(
    instance: CacheInstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show how many answers are cached and how often they were used.

    Example: majlis cache stats --instance acme
    """
    document = client_of(config, set_).get("/v1/cache", {"instance": instance})
    if json:
        print_json(document)
        return
    stats = view(document, CacheStats)
    if stats.instances:
        numbers = ("entries", "with vectors", "hits")
        shown = table("instance", *numbers, "oldest (UTC)", right=numbers)
        for row in stats.instances:
            figures = (f"{row.entries:,}", f"{row.with_vectors:,}", f"{row.hits:,}")
            shown.add_row(*(cell(item) for item in (row.instance, *figures, moment(row.oldest_at))))
        display(shown)
    entries = sum(row.entries for row in stats.instances)
    display(cell(count(entries, "cached answer"), "dim"))


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
