"""What a look at an instance's connection found, as findings for people. Pure."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from actors.errors import Conflict, MajlisError
from daemon.gateways.webhook_setup import PhoneStanding, Webhook
from daemon.operate.checks import Check
from daemon.schema.fields import is_web_address

MAX_ADDRESS_CHARS = 500
"""The gateway's database takes no longer one."""

FEED = Check(
    name="feed",
    state="warning",
    detail="gateway.feed is websocket: its events come by that too, and each is then heard once",
    advice="Set gateway.feed: webhook for this instance.",
)


def shut_check(error: MajlisError) -> Check:
    detail = f"what stood there before cannot be opened: {error}"
    advice = "Give secrets.keys the key that sealed it; until then it cannot be given back."
    return Check(name="webhook before", state="warning", detail=detail, advice=advice)


def shown_address(url: str) -> str:
    """Without user and query, which may be keys."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(not readable)"
    return f"{parts.scheme}://{host}{parts.path}{'?…' if parts.query else ''}"


def written_address(given: str, instance: str) -> str:
    """Raises `Conflict`."""
    url = given.strip().rstrip("/")
    parts = urlsplit(url) if is_web_address(url) else None
    if parts is None or len(url) > MAX_ADDRESS_CHARS:
        raise Conflict(
            "url must be an http:// or https:// address by which the gateway reaches Majlis, "
            f"of {MAX_ADDRESS_CHARS} characters at most"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Conflict("url must have no user, password, query or fragment; the token goes into a header")
    return url if parts.path else f"{url}/webhook/{quote(instance, safe='')}"


def phone_check(standing: PhoneStanding) -> Check:
    if standing.phone == "open":
        return Check(name="phone", state="ok", detail="paired and connected")
    words = {
        "connecting": "not paired, or not connected yet",
        "close": "not paired, or logged out",
        "refused": "not paired: too many QR codes were not scanned",
        "unknown": "in an unknown state",
    }
    advice = "Scan the QR code that is shown next." if standing.can_pair else "Look at the gateway."
    return Check(name="phone", state="warning", detail=words[standing.phone], advice=advice)


def webhook_check(now: Webhook | None, is_ours: bool, is_known: bool) -> Check:
    """`is_ours`: an address of ours stands there; `is_known`: and Majlis has set it."""
    if is_ours:
        if not is_known:
            detail = "set to this address already, by hand: what stood there before is not known"
            advice = "To give it back will switch the webhook off."
            return Check(name="webhook", state="warning", detail=detail, advice=advice)
        return Check(name="webhook", state="ok", detail="set to Majlis already")
    if now is None:
        return Check(name="webhook", state="ok", detail="none is set at the gateway")
    state = "is switched off" if not now.enabled else "takes its messages now"
    detail = f"{shown_address(now.url)} {state}"
    advice = "It is replaced when you say so, and remembered: `majlis instance rollback NAME` gives it back."
    return Check(name="webhook", state="warning", detail=detail, advice=advice)


def read_back_check(stands: bool) -> Check:
    if stands:
        return Check(name="read back", state="ok", detail="the gateway posts to Majlis now")
    return Check(
        name="read back",
        state="problem",
        detail="the gateway does not show the webhook as it was set",
        advice="Repeat the command; `majlis instance rollback NAME` gives the former one back.",
    )
