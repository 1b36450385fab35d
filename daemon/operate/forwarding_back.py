"""What is forwarded where in mode `passthrough`, taken from the webhook that an instance had before. Pure."""

from __future__ import annotations

import json

from actors.instance import Mode
from daemon.config.sections import PassthroughSettings
from daemon.gateways.webhook_setup import Webhook
from daemon.operate.checks import Check
from daemon.operate.connect_checks import shown_address

_SECTION = "passthrough"


def is_somebody(former: Webhook | None) -> bool:
    """Whether somebody took an instance's messages before."""
    return former is not None and former.enabled and bool(former.url)


def settings_of(former: Webhook, now: PassthroughSettings) -> dict[str, object]:
    """The settings by which the old system gets what it got; empty: they are so already."""
    shall: dict[str, object] = {
        "url": former.url,
        "headers": {name: text for name, value in former.headers.items() if (text := _text(value))},
        "by_events": former.by_events,
        "events": list(former.events),
    }
    stands = {
        "url": now.url.get_secret_value() if now.url is not None else "",
        "headers": {name: value.get_secret_value() for name, value in now.headers.items()},
        "by_events": now.by_events,
        "events": list(now.events),
    }
    return {} if shall == stands else {f"{_SECTION}.{key}": value for key, value in shall.items()}


def mode_check(mode: Mode, former: Webhook | None, passes: bool) -> Check | None:
    """Who answers once the webhook is set. `passes`: the instance is put into mode `passthrough` with it."""
    name = "mode"
    if passes and (former is None or not is_somebody(former)):
        detail = "no webhook stood there before: there is nobody to forward to"
        return Check(name=name, state="problem", detail=detail, advice="Connect it without --passthrough.")
    if passes and former is not None:
        detail = f"passthrough from then on: what comes is forwarded to {shown_address(former.url)}"
        return Check(name=name, state="ok", detail=detail)
    if mode in ("live", "passthrough") or not is_somebody(former):
        return None
    return Check(
        name=name,
        state="problem",
        detail=f"it is {mode}: nobody would answer, for the system that had its messages would hear nothing more",
        advice="Add --passthrough, and that system goes on answering; or set mode=live first; or go on with --force.",
    )


def _text(value: object) -> str:
    """As the gateway sends it in a header; empty: it does not."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)
