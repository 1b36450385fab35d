"""`majlis status`: the daemon in one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from daemon.cli.client import view
from daemon.cli.options import ConfigOption, JsonOption, SetOption, client_of
from daemon.cli.render import cell, count, display, duration, facts, moment, print_json, tally
from daemon.operate import AlertView, ProviderView
from daemon.operate.instances import InstancePause
from daemon.operate.login import DashboardView
from daemon.operate.status import FeedView, IngressCounts, RealtimeView, Status


def status(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Is it ready, what is it doing, what has it done.

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
    rows += [("because", reason) for reason in now.reasons]
    rows += [("paused", _pause(pause)) for pause in now.pauses]
    rows += [("alert", _alert(flag)) for flag in now.alerts]
    rows += [
        (
            "listening",
            f"{now.listen}, up {duration(now.uptime_seconds)}, pid {now.pid}, node {now.node_id or '-'}",
        ),
        *((name, cell(state, "" if state == "ok" else "bold red")) for name, state in now.stores.items()),
        ("partitions", f"{now.partitions_owned} of {now.partitions_total} owned"),
        ("now", f"{count(now.active, 'active conversation')}, {count(now.open_windows, 'open window')}"),
        ("turns", _turns(now)),
        ("waiting", _waiting(now)),
        ("acknowledged", f"{now.acknowledged:,} in all"),
        ("ended", f"{now.answered:,} answered, {now.suppressed:,} suppressed, {now.dead:,} dead in all"),
        ("suppressed", f"{tally(now.suppressed_by_rule)} (turns since the start)"),
        *([("unknown", _strangers(now.unknown_instances))] if now.unknown_instances else []),
        ("silent", _silent(now)),
        ("notices", _notices(now)),
        ("providers", _providers(now.providers)),
        *([("realtime", _realtime(now.realtime))] if now.realtime else []),
        *(("feed", _feed(feed)) for feed in now.feeds),
        *([("dashboard", _dashboard(now.dashboard))] if now.dashboard else []),
        ("cache", f"{count(now.cache_hits, 'answer')} since the start"),
        ("over limits", tally(now.limits_reached)),
        ("webhooks", _webhooks(ingress)),
        ("ignored", tally(ingress.ignored)),
        ("refused", tally(ingress.refused)),
        (
            "dead letters",
            f"{now.dead_letters_open:,} open" + (": majlis dead list" if now.dead_letters_open else ""),
        ),
    ]
    return rows


def _pause(pause: InstancePause) -> Text:
    whom = f"--instance {pause.instance}" if pause.instance else "--all"
    until = f" until {moment(pause.until)} UTC" if pause.until else ""
    return cell(
        f"{pause.instance or 'all instances'} since {moment(pause.since)} UTC{until}: majlis resume {whom}",
        "yellow",
    )


def _alert(flag: AlertView) -> Text:
    """`queue_depth, messages that wait: 1,204, more than 1,000, for 2.0 min`."""
    whom = f" ({flag.detail})" if flag.detail else ""
    value = "" if flag.value is None else f": {flag.value:,.4g}, more than {flag.threshold:,.4g}"
    return cell(f"{flag.flag}, {flag.meaning}{whom}{value}, for {duration(flag.seconds)}", "bold red")


def _strangers(turns: Mapping[str, int]) -> Text:
    """Instances that were written to and that the database does not know."""
    return cell(f"{tally(turns)} (turns of instances that the database does not know)", "yellow")


def _silent(now: Status) -> str:
    advice = ": majlis silent" if now.taken_over or now.escalated else ""
    return f"{count(now.taken_over, 'conversation')} taken over, {now.escalated:,} escalated{advice}"


def _notices(now: Status) -> str:
    return f"{now.notices_waiting:,} waiting" + (
        f", {now.notices_given_up:,} given up" if now.notices_given_up else ""
    )


_CONDITIONS = {"closed": "ok", "held": "held", "open": "left out", "half_open": "on trial"}


def _feed(feed: FeedView) -> Text:
    state = "connected" if feed.connected else "not connected"
    counts = f"{feed.received:,} received" + (f", {feed.lost:,} lost" if feed.lost else "")
    words = f"{feed.instance} over websocket: {state}, {counts}; {feed.note}"
    return cell(words, "" if feed.connected and not feed.lost else "yellow")


def _realtime(view: RealtimeView) -> str:
    connected = ", ".join(f"{name} ×{times}" for name, times in sorted(view.connected.items()))
    return f"{view.listen}, {connected or 'nobody is connected'}"


def _dashboard(view: DashboardView) -> Text:
    if view.problem:
        return cell(f"not served: {view.problem}", "yellow")
    inside = f", {view.sessions} logged in" if view.sessions else ""
    return cell(f"{view.address}{inside}; `majlis dashboard` prints a link")


def _providers(providers: Sequence[ProviderView]) -> Text:
    """`main ok, backup left out for 12.0 s (5 failures, timed_out), own of acme ok`."""
    return Text(", ").join(map(_provider, providers)) if providers else cell("none")


def _provider(provider: ProviderView) -> Text:
    whose = f" of {provider.instance}" if provider.instance else ""
    words = f"{provider.name}{whose} {_CONDITIONS[provider.state]}"
    if provider.wait_seconds:
        words += f" for {duration(provider.wait_seconds)}"
    if provider.failures:
        words += f" ({count(provider.failures, 'failure')}, {provider.last_reason})"
    return cell(words, "" if provider.state == "closed" else "yellow")


def _webhooks(ingress: IngressCounts) -> str:
    words = (
        f"{ingress.accepted:,} accepted, {ingress.duplicate:,} duplicate, {ingress.unreadable:,} unreadable"
    )
    # Named only when there are any: their messages are lost, for the gateway does not repeat a 401.
    return words + (f", {ingress.unauthorized:,} with a wrong token" if ingress.unauthorized else "")


def _headline(now: Status) -> Text:
    if now.draining:
        return cell(f"{now.version} is draining: no new work is taken", "yellow")
    return (
        cell(f"{now.version} is ready", "green")
        if now.ready
        else cell(f"{now.version} is NOT READY", "bold red")
    )


def _turns(now: Status) -> str:
    later = f"{now.held_turns} held, {now.deferred_turns} to be tried again"
    parked = f", {now.parked} parked" if now.parked else ""
    return f"{now.running_turns} running, {now.queued_turns} queued, {later}{parked}"


def _waiting(now: Status) -> str:
    if not now.waiting_messages:
        return "nothing"
    age = duration(now.oldest_waiting_seconds)
    return count(now.waiting_messages, "message") + (f", the oldest for {age}" if age else "")
