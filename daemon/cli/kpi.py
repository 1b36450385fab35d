"""`majlis kpi`: whether the targets are reached."""

from __future__ import annotations

from typing import Annotated

from daemon.cli.client import ConfigOption, JsonOption, OnlyInstanceOption, SetOption, client_of, option, view
from daemon.cli.render import byte_size, cell, count, display, duration, moment, money, print_json, table
from daemon.operate.kpi import KpiQuery, KpiReport, MirrorMemory, TargetRow

_COLOURS = {"reached": "green", "missed": "bold red", "unknown": "dim"}


def kpi(
    instance: OnlyInstanceOption = None,
    minutes: Annotated[int | None, option(KpiQuery, "minutes", "--minutes", "-m", metavar="N")] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show each target, what was measured, and whether it is reached, missed, or there is too little traffic to say.

    Response time is from the end of a window to the first message of the reply. The targets are in section `targets` of
    config.yaml. Below them: the memory of Redis that the conversations of each instance take.

    Example: majlis kpi --minutes 60 --instance acme
    """
    document = client_of(config, set_).get("/v1/kpi", {"instance": instance, "minutes": minutes})
    if json:
        print_json(document)
        return
    report = view(document, KpiReport)
    of_instance = f" of {report.instance}" if report.instance else ""
    if report.targets:
        numbers = ("actual", "aim")
        shown = table("target", *numbers, "state", "from", right=numbers, roomy=("target",))
        for row in report.targets:
            actual = "-" if row.actual is None else _amount(row, row.actual)
            shown.add_row(
                cell(row.what),
                cell(actual),
                cell(_amount(row, row.target)),
                cell(row.says, _COLOURS[row.state]),
                cell(count(row.samples, row.samples_are.removesuffix("s"))),
            )
        display(shown)
    else:
        display(cell("no target is set: see section `targets` of config.yaml"))
    for row in report.targets:
        if row.why:
            display(cell(f"{row.what}: {row.why}", "yellow"))
    newest = "" if report.is_whole else ": only the newest turns are read"
    display(cell(f"since {moment(report.since)} UTC{of_instance}{newest}", "dim"))
    if report.untimed:
        untimed = count(report.untimed, "answer")
        display(
            cell(f"response time without {untimed} that had to wait for something else than Majlis", "dim")
        )
    _show_memory(report.mirror)


def _show_memory(memory: MirrorMemory | None) -> None:
    if memory is None:
        display("", cell("memory of the mirror: being measured", "dim"))
        return
    numbers = ("conversations", "memory")
    shown = table("instance", *numbers, right=numbers, folding=("instance",))
    for row in memory.instances:
        shown.add_row(cell(row.instance), cell(f"{row.conversations:,}"), cell(byte_size(row.bytes)))
    display("", *((shown,) if memory.instances else ()))
    display(cell(f"memory of the mirror: {byte_size(memory.total_bytes)} in all", "dim"))


def _amount(row: TargetRow, value: float) -> str:
    match row.name:
        case "response_time":
            return f"{value:.2f} s" if value < 60 else duration(value)
        case "errors":
            return f"{value:.2%}"
        case "cost_per_message":
            return money(value)
        case _:
            return f"{value:,.0f}"
