"""What the list of a language has, and what each part of it is worth. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Topic(msgspec.Struct, frozen=True):
    """What is harmless in a text that has one of the signs: other words of a language, or of a trade."""

    signs: str
    harmless: str


class Lists(msgspec.Struct, frozen=True, kw_only=True):
    """Expressions in the notation of `patterns.py`, one a line."""

    classes: Mapping[str, str]
    denials: str
    """No gap of an expression goes over one of these."""
    human: str
    """A person is asked for, or help is called for."""
    insisted: str = ""
    """The same in words of denial ("no bot"): they deny no wish, and no wish denies them."""
    demands: str
    """Sensitive also where it is only supposed: a refund, a lawyer, a fraud."""
    troubles: str
    """Sensitive where the customer has it: what is broken, late, missing, wrong."""
    harmless: str
    """What has the words and says nothing of the kind. It covers what stands within it."""
    mentions: str = ""
    """The same for a person who is spoken of, and not asked for."""
    machines: str
    """The same for what is said of an answering machine: who calls it useless asks for a person and has no trouble."""
    refusals: str
    """What follows at once is not wanted."""
    suppositions: str
    """What follows in the clause is not so, or not yet."""
    solutions: str
    """What the customer reported before this is over."""
    settled: str = ""
    """A demand that was met ("got my refund"): harmless, but where it is denied or awaited just before."""
    awaited: str = ""
    """Words, not expressions: of what has not come yet."""
    never: str = ""
    """What has not happened in all the time ("never had"): a trouble that follows in the clause is none."""
    unheard: str = ""
    """Words after which "never" means the contrary: "never had such a bad meal"."""
    elsewhere: str = ""
    """Somebody else's business: what the clause tells happened there."""
    ours: str = ""
    """Words that make it the business itself: "your other branch"."""
    contexts: tuple[Topic, ...] = ()
