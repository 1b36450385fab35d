"""What a business sends to choose from: buttons, lists, templates, carousels. Pure and total.

Customers quote and forward them, and other software sends them for the business: then they are told to the model.
"""

from __future__ import annotations

from collections.abc import Iterator

from daemon.gateways.evolution.choices import params_in
from daemon.gateways.evolution.placeholders import named
from daemon.gateways.evolution.trade import money
from daemon.gateways.lenient import JsonObject, items, line, mapping, text

MAX_CHOICES = 20
MAX_CARDS = 10


def buttons(part: JsonObject) -> str:
    choices = (
        line(mapping(mapping(button).get("buttonText")).get("displayText"))
        for button in _some(part, "buttons")
    )
    return _offer(
        [part.get("headerText") or part.get("text"), part.get("contentText"), part.get("footerText")], choices
    )


def options(part: JsonObject) -> str:
    """A list: its description is the text, its title the head of it."""
    return _offer([part.get("title"), part.get("description"), part.get("footerText")], _rows(part))


def interactive(part: JsonObject) -> str:
    return "\n".join(filter(None, _interactive(part)))


def template(part: JsonObject) -> str:
    """It comes in one of four forms; the newest holds an interactive message."""
    filled = mapping(part.get("hydratedTemplate")) or mapping(part.get("hydratedFourRowTemplate"))
    if filled:
        return _filled(filled)
    structured = mapping(mapping(part.get("fourRowTemplate")).get("content")) or mapping(part.get("content"))
    if structured:
        return structured_text(structured)
    return interactive(mapping(part.get("interactiveMessageTemplate")))


def structured_text(part: JsonObject) -> str:
    """A template that the phone fills in: filled already, or its parameters."""
    filled = mapping(mapping(part.get("hydratedHsm")).get("hydratedTemplate"))
    return _filled(filled) or ", ".join(filter(None, map(line, _some(part, "params"))))


def _filled(part: JsonObject) -> str:
    choices = (_template_button(mapping(button)) for button in _some(part, "hydratedButtons"))
    return _offer(
        [part.get("hydratedTitleText"), part.get("hydratedContentText"), part.get("hydratedFooterText")],
        choices,
    )


def _template_button(button: JsonObject) -> str:
    kinds = ("quickReplyButton", "urlButton", "callButton")
    return next(filter(None, (line(mapping(button.get(kind)).get("displayText")) for kind in kinds)), "")


def _interactive(part: JsonObject) -> Iterator[str]:
    header, body, footer = (mapping(part.get(name)) for name in ("header", "body", "footer"))
    yield _offer([header.get("title"), body.get("text"), footer.get("text")], _native_buttons(part))
    for card in items(mapping(part.get("carouselMessage")).get("cards"))[:MAX_CARDS]:
        inner = mapping(card)
        yield _offer(
            [mapping(inner.get("header")).get("title"), mapping(inner.get("body")).get("text")],
            _native_buttons(inner),
        )


def _native_buttons(part: JsonObject) -> Iterator[str]:
    """The newer buttons, whose words are JSON: quick replies, links, rows of a list, how to pay."""
    for button in map(mapping, _some(mapping(part.get("nativeFlowMessage")), "buttons")):
        params = params_in(text(button.get("buttonParamsJson")))
        yield line(params.get("display_text")) or line(params.get("title"))
        yield from _rows(params)
        yield _payment(params)


def _payment(params: JsonObject) -> str:
    """An amount and where to pay it, as an order or a Pix key says: `[payment of 50 BRL: Noor, key a@b.c (EMAIL)]`."""
    asked = mapping(params.get("total_amount"))
    total = money(asked.get("value"), params.get("currency"), asked.get("offset"))
    ways = (mapping(mapping(way).get("pix_static_code")) for way in _some(params, "payment_settings"))
    keys = (
        ", ".join(filter(None, (line(way.get("merchant_name")), _key(way)))) for way in ways if way.get("key")
    )
    said = ", ".join(keys)
    return named(f"payment{f' of {total}' if total else ''}", said) if total or said else ""


def _key(way: JsonObject) -> str:
    kind = line(way.get("key_type"))
    return f"key {line(way.get('key'))}{f' ({kind})' if kind else ''}"


def _rows(part: JsonObject) -> Iterator[str]:
    for section in _some(part, "sections"):
        for row in items(mapping(section).get("rows"))[:MAX_CHOICES]:
            yield line(mapping(row).get("title"))


def _some(part: JsonObject, name: str) -> list[object]:
    return items(part.get(name))[:MAX_CHOICES]


def _offer(words: list[object], choices: Iterator[str] | tuple[str, ...]) -> str:
    said = [*map(text, words), " / ".join(filter(None, list(choices)[:MAX_CHOICES]))]
    return "\n".join(filter(None, said))
