"""`majlis cost`: what the answers took, by instance and day."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from daemon.cli.client import view
from daemon.cli.options import ConfigOption, JsonOption, SetOption, client_of
from daemon.cli.render import cell, count, display, money, print_json, table
from daemon.operate.cost import CostReport, CostRow


def cost(
    instance: Annotated[str | None, typer.Option(help="Only this instance.")] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Today and the days before it, UTC.")] = 7,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """What was used, by instance and day (UTC): answers, tokens, cost.

    Costs are in the currency in which the providers' prices are configured.
    Cached answers cost nothing.

    Example: majlis cost --instance acme --days 30
    """
    document = client_of(config, set_).get("/v1/cost", {"instance": instance, "days": days})
    if json:
        print_json(document)
        return
    report = view(document, CostReport)
    if not report.rows:
        whom = f" of {instance}" if instance else ""
        display(cell(f"no answers{whom} in the last {count(days, 'day')}"))
        return
    display(_cost_table(report))


def _cost_table(report: CostReport) -> Table:
    numbers = ("answers", "cached", "tokens in", "tokens out", "cost")
    shown = table("day (UTC)", "instance", *numbers, right=numbers, folding=("instance",))
    for row in report.rows:
        shown.add_row(cell(row.day), cell(row.instance), *map(cell, _numbers(row)))
    shown.add_section()
    shown.add_row(cell("in all", "bold"), "", *(cell(number, "bold") for number in _numbers(report)))
    return shown


def _numbers(row: CostRow | CostReport) -> list[str]:
    counts = (row.answers, row.cached, row.input_tokens, row.output_tokens)
    return [*(f"{number:,}" for number in counts), money(row.cost)]
