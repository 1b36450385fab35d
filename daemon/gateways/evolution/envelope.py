"""What an Evolution payload says around its messages: which gateway it is of, and which account. Pure.

Everything is cached: one gateway sends the same with every message.
"""

from __future__ import annotations

from functools import lru_cache

from actors.reply import origin_of
from daemon.gateways.evolution.identity import number_of, person
from daemon.gateways.lenient import clean, text

MAX_ADDRESS_CHARS = 512
"""The length of `server_url`; a longer one is cut, and so matches no allowed origin."""


def origin(server_url: object) -> str:
    return _origin(text(server_url)[:MAX_ADDRESS_CHARS])


def account(sender: object) -> str:
    """The account's own number or LID, spelled as people's are; empty: nobody's."""
    return _account(text(sender)[:MAX_ADDRESS_CHARS])


def account_number(sender: object) -> str:
    """The account's own phone number; empty: it names none."""
    return _number(text(sender)[:MAX_ADDRESS_CHARS])


@lru_cache(maxsize=256)
def _origin(address: str) -> str:
    return origin_of(clean(address, MAX_ADDRESS_CHARS))


@lru_cache(maxsize=256)
def _account(jid: str) -> str:
    return person(jid)


@lru_cache(maxsize=256)
def _number(jid: str) -> str:
    return number_of(jid)
