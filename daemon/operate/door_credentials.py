"""By what a webhook may show that it may come in, in words and without a secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from daemon.config import Settings
from daemon.config.credentials import AuthSettings
from daemon.config.sections import OwnIngressSettings
from daemon.controls.live_settings import LiveSettings
from daemon.operate.checks import Check

MAX_NAMED = 5


def for_instance(auth: AuthSettings, own: OwnIngressSettings) -> list[str]:
    """What is accepted of webhooks for one instance: the keys of the settings."""
    return [*map(_words, _counted(own, _OWN).items()), *map(_words, _counted(auth, _SHARED).items())]


def for_all(live: LiveSettings) -> str:
    """What is accepted of all instances, and how many have something of their own."""
    return "; ".join(_said(live, live.configured.ingress.auth))


def credential_checks(settings: LiveSettings | Settings) -> Iterator[Check]:
    """For `majlis doctor`."""
    configured = settings.configured if isinstance(settings, LiveSettings) else settings
    detail = "; ".join(_said(settings, configured.ingress.auth))
    if _shut(settings):
        yield Check(name="credentials", state="warning", detail=detail, advice=_SHUT_ADVICE)
    else:
        yield Check(name="credentials", state="ok", detail=detail)


def _said(settings: LiveSettings | Settings, auth: AuthSettings) -> Iterator[str]:
    shared = ", ".join(map(_words, _counted(auth, _SHARED).items()))
    yield f"webhooks for all instances: {shared or _UNSET[auth.mode_in_force]}"
    having, changing = Counter[str](), list[str]()
    for name in sorted(settings.names):
        counted = _counted(settings.for_instance(name).ingress, _OWN)
        having.update(counted.keys())
        if max(counted.values(), default=0) > 1:
            changing.append(name)
    if having:
        yield "of their own: " + ", ".join(f"{number} with {key}" for key, number in having.items())
    if changing:
        yield f"two at once, until one is removed: {_listed(changing)}"
    if shut := _shut(settings):
        yield f"others are told to come again, for one does not open or fit: {_listed(sorted(shut))}"


def _shut(settings: LiveSettings | Settings) -> Collection[str]:
    return settings.own_credentials().shut if isinstance(settings, LiveSettings) else ()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more}"


_SHUT_ADVICE = "`majlis secrets` says which, and why, or `majlis config`; set it anew, or unset it."
_UNSET = {"none": "none, anyone may post", "token": "none, nobody may post"}
_OWN: Mapping[str, str] = {
    key: f"ingress.{key}" for key in ("token", "tokens_sha256", "jwt_key", "signing_secret")
}
_SHARED: Mapping[str, str] = {key: f"ingress.auth.{key}" for key in ("token", "jwt_key", "signing_secret")}


def _counted(section: AuthSettings | OwnIngressSettings, keys: Mapping[str, str]) -> dict[str, int]:
    """How many there are of each kind that there is."""
    found = {shown: len(getattr(section, key) or ()) for key, shown in keys.items()}
    return {shown: number for shown, number in found.items() if number}


def _words(counted: tuple[str, int]) -> str:
    key, number = counted
    return f"{key} ({number})" if number > 1 else key
