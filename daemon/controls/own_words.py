"""What a message of the business is, as far as its text and its sender tell. Pure.

Laws of this file:
1. A command is a whole message, and somebody typed it: a program does not command, and a sentence that holds the word
   is a sentence.
2. Texts are compared as people read them (`actors.text.normalised`). One of `takeover.automatic_texts` is met whole, or
   from its beginning where it ends in `*`.
"""

from __future__ import annotations

from typing import Literal

from actors.text import contains_phrase, normalised, words
from daemon.config.sections import TakeoverSettings
from daemon.ingress.inbound import OwnMessage

OwnVerdict = Literal["silence", "listed", "history", "resume", "pause"]
"""It silences Majlis, unless more is found out | it is automatic by its text | it is told to the model | a command."""

MAX_COMMAND_CHARS = 4_096
MAX_PERSONAL_CHARS = 300
"""Nobody types more within seconds."""
_ANY_END = "*"

_HIMSELF = frozenset(
    words(
        "I me my mine myself  eu meu minha sou vou estou  yo mi soy voy estoy dejame "
        "أنا معك معاك خليني لحظة دقيقة ثواني ثانية بشوف أشوف أشيك بسأل أسأل أكلمك"
    )
)
"""Words of somebody who speaks of himself: English, Portuguese, Spanish, Arabic with its dialects."""
_GREETING = tuple(
    words(phrase)
    for phrase in """can I help, may I help, could I help, how I can help, thank, thanks, welcome
        contacting, reaching out, get back to, as soon as, away, unavailable, working hours, opening hours, we, our, us
        office hours, obrigado, obrigada, agradecemos, bem vindo, bem vinda, nosso, nossa, retornaremos, responderemos
        em breve, gracias, bienvenido, bienvenida, nuestro, nuestra, horário
        شكرا, أهلا وسهلا, مرحبا بك, مرحبا بكم, نرحب, تواصلك, تواصلكم, سنرد, سوف نرد, نرد عليك, ساعات العمل
        كيف أخدمك, كيف أقدر أخدمك, كيف يمكنني مساعدتك, كيف أساعدك""".replace("\n", ",").split(",")
)
"""What greetings and away messages say, whoever wrote them."""


def verdict_on(own: OwnMessage, settings: TakeoverSettings) -> OwnVerdict | None:
    """What the message is; None: nothing at all."""
    policy = {
        "person": "takeover",
        "program": settings.other_senders,
        "chatwoot": settings.chatwoot,
    }[own.sender]
    if own.sender != "program" and (command := _command(own.text, settings)):
        return command
    if policy == "ignore":
        return None
    if policy == "history":
        return "history"
    if settings.automatic and settings.automatic_texts and is_listed(own.text, settings.automatic_texts):
        return "listed"
    return "silence"


def is_listed(text: str, listed: tuple[str, ...]) -> bool:
    """Whether it is one of these texts, or begins as one of those that end in `*`."""
    said = normalised(text)
    for one in listed:
        wanted = normalised(one.removesuffix(_ANY_END))
        if wanted and (said.startswith(wanted) if one.endswith(_ANY_END) else said == wanted):
            return True
    return False


def is_personal(own: OwnMessage) -> bool:
    """Whether it reads as if somebody had typed it: of himself, and without what greetings say.

    No greeting is a picture or a voice message. One in words may read so too, and is known as one when a second new
    customer gets the same; so this only decides about the first.
    """
    if own.kind != "text":
        return True
    if len(own.text) > MAX_PERSONAL_CHARS:
        return False
    said = words(own.text)
    return not _HIMSELF.isdisjoint(said) and not any(contains_phrase(said, phrase) for phrase in _GREETING)


def _command(text: str, settings: TakeoverSettings) -> Literal["resume", "pause"] | None:
    typed = _unsigned(text)
    if len(typed) > MAX_COMMAND_CHARS:
        return None
    said, commands = normalised(typed), settings.commands
    if commands.resume and said == normalised(commands.resume):
        return "resume"
    if commands.pause and said == normalised(commands.pause):
        return "pause"
    return None


def _unsigned(text: str) -> str:
    """Without the line above it that says which agent writes: `*Sara:*`."""
    signature, line_break, rest = text.partition("\n")
    signed = line_break and signature.startswith("*") and signature.rstrip().endswith(":*")
    return rest if signed else text
