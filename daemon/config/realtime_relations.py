"""How the settings of the realtime door must fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from actors.reply_address import origin_of
from daemon.config.schema import Settings
from daemon.config.sections import Realtime
from daemon.fields import Misfit
from daemon.web.http1 import split_address


def realtime_misfits(settings: Settings) -> Iterator[Misfit]:
    realtime = settings.realtime
    if realtime.listen is not None:
        yield from _door(realtime, realtime.listen)
    yield from _clients(realtime)


def _door(realtime: Realtime, listen: str) -> Iterator[Misfit]:
    try:
        split_address(listen)
    except ValueError:
        yield Misfit(("realtime", "listen"), listen, "must be host:port, e.g. 127.0.0.1:8081, or null")
    if not realtime.clients:
        yield Misfit(
            ("realtime", "clients"), None, "must name at least one client when realtime.listen is set"
        )
    for index, origin in enumerate(realtime.allowed_origins):
        if origin_of(origin) != origin:
            allowed = "must be scheme, host and port alone, e.g. https://app.example.com"
            yield Misfit(("realtime", "allowed_origins", str(index)), origin, allowed)


def _clients(realtime: Realtime) -> Iterator[Misfit]:
    names = Counter(client.name for client in realtime.clients)
    tokens = Counter(token.get_secret_value() for client in realtime.clients for token in client.token)
    for index, client in enumerate(realtime.clients):
        at = ("realtime", "clients", str(index))
        if names[client.name] > 1:
            yield Misfit((*at, "name"), client.name, "must differ from the other clients' names")
        if any(tokens[token.get_secret_value()] > 1 for token in client.token):
            yield Misfit((*at, "token"), "(hidden)", "must differ from the other tokens")
