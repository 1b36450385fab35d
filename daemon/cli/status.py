"""What the daemon is doing, and what its answers cost: `majlis status`, `majlis cost`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Annotated

from rich.table import Table
from rich.text import Text

from daemon.cli.client import ConfigOption, JsonOption, OnlyInstanceOption, SetOption, client_of, option, view
from daemon.cli.render import (
    alert_line,
    byte_size,
    cell,
    count,
    display,
    duration,
    facts,
    is_narrow,
    moment,
    money,
    print_json,
    provider_state,
    table,
    tally,
)
from daemon.operate import FeedView, ProviderView, RefusedView, SweepView, TableSize, UnknownView
from daemon.operate.cost import CostQuery, CostReport, CostRow
from daemon.operate.instances import InstancePause
from daemon.operate.login import DashboardView
from daemon.operate.status import IngressCounts, RealtimeView, Status

_TABLES = 3
"""Of the database, the largest."""


def status(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Show whether the daemon is ready, what it is doing and what it has done.

    Example: majlis status

    Example: majlis status --json | jq .oldest_waiting_seconds
    """
    document = client_of(config, set_).get("/v1/status")
    if json:
        print_json(document)
        return
    display(facts(_status_rows(view(document, Status))))


def _status_rows(now: Status) -> list[tuple[str, object]]:
    ingress = now.ingress
    rows: list[tuple[str, object]] = [("majlis", _headline(now))]
    rows += [("reason", reason) for reason in now.reasons]
    rows += [("alert", cell(f"{alert.flag}, {alert_line(alert)}", "bold red")) for alert in now.alerts]
    rows += [("lost", _lost(refused)) for refused in ingress.lost]
    rows += [("unknown", _unknown(one)) for one in ingress.unknown]
    if ingress.overruled:
        rows.append(("mismatch", _overruled(ingress.overruled)))
    rows += [("warning", cell(warning, "yellow")) for warning in now.warnings]
    rows += [("paused", _pause(pause)) for pause in now.pauses]
    rows += [
        (
            "listening",
            f"{now.listen}, up {duration(now.uptime_seconds)}, pid {now.pid}, node {now.node_id or '-'}",
        ),
        ("credentials", now.credentials),
        *((name, cell(state, "" if state == "ok" else "bold red")) for name, state in now.stores.items()),
        ("partitions", _partitions(now)),
        ("now", f"{count(now.active, 'active conversation')}, {count(now.open_windows, 'open window')}"),
        ("turns", _turns(now)),
        ("waiting", _waiting(now)),
        ("acknowledged", f"{now.acknowledged:,} since the installation"),
        ("ended", f"{now.answered:,} answered, {now.suppressed:,} suppressed, {now.dead:,} dead"),
        ("suppressed", f"{tally(now.suppressed_by_rule)} (turns since the start, by rule)"),
        *(
            [("said by rule", f"{tally(now.said_by_rule)} (turns since the start)")]
            if now.said_by_rule
            else []
        ),
        ("silent", _silent(now)),
        ("notices", _notices(now)),
        *([("forwards", _forwards(now))] if now.forwards_waiting or now.forwards_dead else []),
        *([("database", _database(now.tables))] if now.tables else []),
        ("providers", _providers(now.providers)),
        *([("realtime", _realtime(now.realtime))] if now.realtime else []),
        *(("feed", _feed(feed)) for feed in now.feeds),
        *([("sweep", _sweep(now.sweep))] if now.sweep else []),
        *([("dashboard", _dashboard(now.dashboard))] if now.dashboard else []),
        *([("typing", _typing(now.typing))] if now.typing else []),
        ("cache", f"{count(now.cache_hits, 'answer')} from the response cache"),
        ("limits hit", tally(now.limits_reached)),
        ("webhooks", _webhooks(ingress)),
        ("ignored", tally(ingress.ignored)),
        ("refused", tally(ingress.refused)),
        (
            "dead letters",
            f"{now.dead_letters_open:,} open" + (": majlis dead list" if now.dead_letters_open else ""),
        ),
    ]
    return rows


def _partitions(now: Status) -> str:
    others = "".join(f", {count} held by {node}" for node, count in now.partitions_elsewhere.items())
    return f"{now.partitions_owned} of {now.partitions_total} owned{others}"


def _pause(pause: InstancePause) -> Text:
    if pause.held:
        return cell(f"{pause.instance or 'all instances'} held: {pause.held}", "bold red")
    whom = f"--instance {shlex.quote(pause.instance)}" if pause.instance else "--all"
    until = f" until {moment(pause.until)} UTC" if pause.until else ""
    return cell(
        f"{pause.instance or 'all instances'} since {moment(pause.since)} UTC{until}: majlis resume {whom}",
        "yellow",
    )


def _silent(now: Status) -> str:
    words = [f"{count(now.taken_over, 'conversation')} taken over", f"{now.escalated:,} escalated"]
    words += [f"{now.opted_out:,} opted out"] if now.opted_out else []
    words += [f"{now.machines:,} silent to a machine"] if now.machines else []
    any_is = now.taken_over or now.escalated or now.opted_out or now.machines
    return ", ".join(words) + (": majlis silent" if any_is else "")


def _typing(windows: Mapping[str, int]) -> str:
    """`told in 34 % of 1,203 windows, 120 held open`: of how many customers the gateway tells when they type."""
    total, silent = sum(windows.values()), windows.get("nothing", 0)
    held = windows.get("extended", 0)
    return f"told in {(total - silent) / total:.0%} of {count(total, 'window')}, {held:,} held open (since the start)"


def _notices(now: Status) -> str:
    return f"{now.notices_waiting:,} waiting" + (
        f", {now.notices_given_up:,} given up" if now.notices_given_up else ""
    )


def _forwards(now: Status) -> Text:
    oldest = now.forwards_oldest_seconds
    words = f"{count(now.forwards_waiting, 'webhook')} waiting to be forwarded"
    words += "" if oldest is None else f", the first for {duration(oldest)}"
    words += (
        f", {now.forwards_dead:,} dead: majlis forwards --dead" if now.forwards_dead else ": majlis forwards"
    )
    return cell(words, "yellow" if now.forwards_dead else "")


def _database(tables: Sequence[TableSize]) -> str:
    """`1.2 GB, 190.0 MB more a day: majlis_turns 0.8 GB (1,204,311 rows), …`."""
    words = byte_size(sum(table.bytes for table in tables))
    grown = [table.bytes_a_day for table in tables if table.bytes_a_day is not None]
    if grown:
        words += f", {byte_size(max(0, sum(grown)))} more a day"
    largest = [
        f"{table.name} {byte_size(table.bytes)} ({count(table.rows, 'row')})" for table in tables[:_TABLES]
    ]
    return f"{words}: {', '.join(largest)}"


def _feed(feed: FeedView) -> Text:
    why = f" ({feed.reason.replace('_', ' ')})" if feed.reason else ""
    state = "connected" if feed.connected else f"not connected{why}"
    if feed.waiting:
        state = "waiting for the instance's first event"
    counts = f"{feed.received:,} received" + (f", {feed.lost:,} lost" if feed.lost else "")
    words = f"{feed.instance} over WebSocket: {state}, {counts}; {feed.note}"
    return cell(words, "" if feed.connected and not feed.lost else "yellow")


def _sweep(view: SweepView) -> Text:
    """`28 instances, the last 2 min ago; found since the start: missed 3; not compared: acme (unreachable)`."""
    last = view.last_done_seconds
    words = f"{count(view.instances, 'instance')}, "
    words += "none compared yet" if last is None else f"the last {duration(last)} ago"
    words += f"; found since the start: {tally(view.found)}" if view.found else ""
    words += f"; not all read: {tally(view.gaps)}" if view.gaps else ""
    behind = ", ".join(f"{name} ({why})" for name, why in view.behind.items())
    words += f"; not compared: {behind}" if behind else ""
    return cell(words, "yellow" if behind or view.gaps else "")


def _realtime(view: RealtimeView) -> str:
    connected = ", ".join(f"{name} ×{times}" for name, times in sorted(view.connected.items()))
    return f"{view.listen}, {connected or 'no clients connected'}"


def _dashboard(view: DashboardView) -> Text:
    if view.problem:
        return cell(f"not served: {view.problem}", "yellow")
    inside = f", {count(view.sessions, 'session')}" if view.sessions else ""
    return cell(f"{view.address}{inside}; `majlis dashboard` prints a login link")


def _providers(providers: Sequence[ProviderView]) -> Text:
    """`main ok, backup circuit open for 12.0 s (5 failures, timed_out), own of acme ok`."""
    return Text(", ").join(map(_provider, providers)) if providers else cell("none")


def _provider(provider: ProviderView) -> Text:
    words = provider_state(provider)
    if provider.failures:
        words += f" ({count(provider.failures, 'failure')}, {provider.last_reason})"
    elif provider.state == "rejecting":
        words += f" ({count(provider.rejections, 'call')} in a row, {provider.last_reason})"
    if provider.in_flight:
        words += f", {provider.in_flight:,} of {provider.max_in_flight:,} calls under way"
    return cell(words, "" if provider.state == "closed" else "yellow")


def _webhooks(ingress: IngressCounts) -> str:
    return (
        f"{ingress.accepted:,} accepted, {ingress.duplicate:,} duplicate, {ingress.unreadable:,} unreadable"
    )


def _lost(refused: RefusedView) -> Text:
    """`3 webhooks, wrong_or_missing_token, the last 2 min 0 s ago (demo 2, (unknown) 1)`; below it, what to do."""
    about = (
        f"{count(refused.count, 'webhook')}, {refused.reason}, the last {duration(refused.seconds_ago)} ago"
    )
    return cell(f"{about} ({tally(refused.instances)})\n→ {refused.advice}", "bold red")


def _unknown(one: UnknownView) -> Text:
    about = f"{one.instance}: {count(one.messages, 'message')}, the last {duration(one.seconds_ago)} ago"
    name = "NAME" if one.instance.startswith("(") else one.instance
    return cell(
        f"{about}; nobody has set this instance up\n→ majlis instance add {shlex.quote(name)}", "bold red"
    )


def _overruled(pairs: Mapping[str, int]) -> Text:
    words = f"{tally(pairs)} (the path names another instance than the payload, which wins: mend the webhook's address)"
    return cell(words, "yellow")


def _headline(now: Status) -> Text:
    if now.draining or now.stopping:
        why = f" ({now.stopping})" if now.stopping else ""
        return cell(f"{now.version} is draining{why}: no new work is accepted", "yellow")
    return (
        cell(f"{now.version} is ready", "green")
        if now.ready
        else cell(f"{now.version} is NOT READY", "bold red")
    )


def _turns(now: Status) -> str:
    later = f"{now.held_turns} holding, {now.deferred_turns} retrying"
    parked = f", {now.parked} parked" if now.parked else ""
    running = f"{now.running_turns} running ({now.at_work} of {now.at_work_most} at work)"
    return f"{running}, {now.queued_turns} queued, {later}{parked}"


def _waiting(now: Status) -> str:
    if not now.waiting_messages:
        return "nothing"
    age = duration(now.oldest_waiting_seconds)
    return count(now.waiting_messages, "message") + (f", the oldest for {age}" if age else "")


def cost(
    instance: OnlyInstanceOption = None,
    days: Annotated[int, option(CostQuery, "days", metavar="N")] = CostQuery().days,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show answers, tokens and cost by instance and day (UTC).

    Cost is in the currency of the prices in config.yaml, answers that could not be used included. `each` is the average
    of an answer; those from the response cache cost nothing. Today's rows say what share of the budget is used.

    Example: majlis cost --instance acme --days 30
    """
    document = client_of(config, set_).get("/v1/cost", {"instance": instance, "days": days})
    if json:
        print_json(document)
        return
    report = view(document, CostReport)
    if not report.rows:
        of_instance = f" of {instance}" if instance else ""
        display(cell(f"no answers{of_instance} in the last {count(days, 'day')}"))
        return
    display(_cost_table(report))


def _cost_table(report: CostReport) -> Table:
    narrow = is_narrow()
    counted = ("tokens",) if narrow else ("tokens in", "tokens out")
    numbers = ("answers", "cached", *counted, "cost", "each")
    has_budget = any(row.tokens_share is not None or row.cost_share is not None for row in report.rows)
    budget = ("budget" if narrow else "of the budget",) if has_budget else ()
    shown = table(
        "day (UTC)", "instance", *numbers, *budget, right=(*numbers, *budget), folding=("instance",)
    )
    for row in report.rows:
        used = (_of_budget(row),) if has_budget else ()
        shown.add_row(cell(row.day), cell(row.instance), *map(cell, _numbers(row, narrow)), *used)
    shown.add_section()
    blank = ("",) if has_budget else ()
    shown.add_row(
        cell("total", "bold"), "", *(cell(number, "bold") for number in _numbers(report, narrow)), *blank
    )
    return shown


def _of_budget(row: CostRow) -> Text:
    """The share that is used of the narrower one, where there are two."""
    shares = [share for share in (row.tokens_share, row.cost_share) if share is not None]
    if not shares:
        return Text("")
    return cell(f"{max(shares):.0%}", "bold red" if max(shares) >= 1 else "")


def _numbers(row: CostRow | CostReport, narrow: bool) -> list[str]:
    """The counts of a row; on a narrow terminal with one for all tokens, so that no number is cut."""
    tokens = (row.input_tokens, row.output_tokens)
    counts = (row.answers, row.cached, *((sum(tokens),) if narrow else tokens))
    return [*(f"{number:,}" for number in counts), money(row.cost), money(row.cost_per_answer)]
