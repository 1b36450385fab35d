"""What WhatsApp shows and a responder cannot see, as placeholders in square brackets. Pure and total.

Captions and other words of the customer follow the bracket unchanged. Names inside it are cut to one line.
"""

from __future__ import annotations

from collections.abc import Callable

from daemon.gateways.lenient import JsonObject, integer, items, line, mapping, text

_MAX_LISTED = 20
_MAX_VCARD_CHARS = 65_536


def captioned(label: str) -> Callable[[JsonObject], str]:
    return lambda part: _placeholder(label, text(part.get("caption")))


def _placeholder(label: str, rest: str = "") -> str:
    return f"[{label}] {rest}".rstrip()


def _named(label: str, name: str, rest: str = "") -> str:
    return _placeholder(f"{label}: {name}" if name else label, rest)


def sticker(part: JsonObject) -> str:
    return _placeholder("sticker")


def audio(part: JsonObject) -> str:
    label = "voice message" if part.get("ptt") is True else "audio"
    seconds = integer(part.get("seconds"))
    return _placeholder(f"{label}, {seconds} s" if seconds and 0 < seconds < 1_000_000 else label)


def document(part: JsonObject) -> str:
    return _named(
        "document", line(part.get("fileName")) or line(part.get("title")), text(part.get("caption"))
    )


def location(part: JsonObject) -> str:
    place = [line(part.get("name")), line(part.get("address"), 1024), text(part.get("caption"))]
    where = [part.get("degreesLatitude"), part.get("degreesLongitude")]
    numbers = [number for number in where if isinstance(number, float | int) and -180 <= number <= 180]
    name = f"{numbers[0]},{numbers[1]}" if len(numbers) == 2 else ""
    return _named("location", name, ", ".join(word for word in place if word))


def contact(part: JsonObject) -> str:
    phones = [
        entry.rpartition(":")[2]
        for entry in text(part.get("vcard"))[:_MAX_VCARD_CHARS].splitlines()
        if ":" in entry and entry.partition(":")[0].partition(";")[0].rpartition(".")[2].upper() == "TEL"
    ]
    return _named("contact", line(part.get("displayName")), ", ".join(phones[:_MAX_LISTED]))


def contacts(part: JsonObject) -> str:
    return "\n".join(contact(mapping(entry)) for entry in items(part.get("contacts"))[:_MAX_LISTED])


def poll(part: JsonObject) -> str:
    options = [line(mapping(option).get("optionName")) for option in items(part.get("options"))[:_MAX_LISTED]]
    return _named("poll", line(part.get("name")), " / ".join(option for option in options if option))


def product(part: JsonObject) -> str:
    product = mapping(part.get("product"))
    return _named("product", line(product.get("title")), text(part.get("body")))


def order(part: JsonObject) -> str:
    return _named("order", line(part.get("orderTitle")), text(part.get("message")))


def event(part: JsonObject) -> str:
    return _named("event", line(part.get("name")), text(part.get("description")))


def invite(part: JsonObject) -> str:
    return _named("group invite", line(part.get("groupName")), text(part.get("caption")))
