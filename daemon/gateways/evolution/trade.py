"""Products, orders and payments as text. Pure and total.

The amounts of WhatsApp are in thousandths, as 123, "123" or {low, high}. Meta's are plain numbers.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from daemon.gateways.evolution.placeholders import named, placeholder, within
from daemon.gateways.lenient import JsonObject, integer, items, line, mapping, text

MAX_ITEMS_SAID = 20
_MAX_CURRENCY_CHARS = 8
_MAX_NUMBER_CHARS = 32
_MOST = Decimal(10**12)
"""What costs more is no price but an attack on the arithmetic."""
_MAX_DESCRIPTION_CHARS = 1024


def product(part: JsonObject) -> str:
    """Of a catalogue; in `contextInfo` or quoted it is what the customer asks about."""
    if catalog := mapping(part.get("catalog")):
        return named(
            "catalogue", line(catalog.get("title")), line(catalog.get("description"), _MAX_DESCRIPTION_CHARS)
        )
    found = mapping(part.get("product")) or part
    price = _amount(found.get("priceAmount1000"), found.get("currencyCode"))
    sale = _amount(found.get("salePriceAmount1000"), found.get("currencyCode"))
    number = line(found.get("retailerId"))
    said = [line(found.get("title")), f"{price}, now {sale}" if price and sale else price]
    said += [f"number {number}" if number else ""]
    words = [line(found.get("description"), _MAX_DESCRIPTION_CHARS), text(part.get("body"))]
    return named("product", ", ".join(filter(None, said)), "\n".join(filter(None, words)))


def order(part: JsonObject) -> str:
    """WhatsApp names the count and the total; Meta the items."""
    listed = items(part.get("product_items"))
    said = _totals(part) if not listed else _items(listed)
    words = text(part.get("message")) or text(part.get("text"))
    return named("order", ", ".join(filter(None, [line(part.get("orderTitle")), *said])), words)


def payment(part: JsonObject) -> str:
    return _paid("payment", part)


def payment_request(part: JsonObject) -> str:
    return _paid("payment request", part)


def invoice(part: JsonObject) -> str:
    return _paid("invoice", part)


def note(part: JsonObject) -> str:
    """What is written on a payment: a message in itself."""
    message = mapping(part.get("noteMessage"))
    words = message.get("conversation") or mapping(message.get("extendedTextMessage")).get("text")
    return line(words or part.get("note"), _MAX_DESCRIPTION_CHARS)


def money(value: object, currency: object, offset: object) -> str:
    """An amount of a native flow: `offset` is how many parts one unit has; empty: none."""
    return _amount(value, currency, integer(offset) or 1000)


def _paid(label: str, part: JsonObject) -> str:
    newer = mapping(part.get("amount"))
    amount = _amount(part.get("amount1000"), part.get("currencyCodeIso4217")) or money(
        newer.get("value"), newer.get("currencyCode"), newer.get("offset")
    )
    words = note(part)
    return placeholder(
        f"{label}{f' of {within(amount)}' if amount else ''}{f', with the note: {within(words)}' if words else ''}"
    )


def _totals(part: JsonObject) -> list[str]:
    count = integer(part.get("itemCount")) or 0
    total = _amount(part.get("totalAmount1000"), part.get("totalCurrencyCode"))
    said = [f"{count} item{'s' if count > 1 else ''}"] if 0 < count < 1_000_000 else []
    return [*said, f"total {total}" if total else ""]


def _items(listed: list[object]) -> list[str]:
    total, currencies, said = Decimal(0), set[str](), []
    for entry in map(mapping, listed[:MAX_ITEMS_SAID]):
        price, quantity = _decimal(entry.get("item_price")), _decimal(entry.get("quantity"))
        currency = line(entry.get("currency"), _MAX_CURRENCY_CHARS)
        name = line(entry.get("name")) or line(entry.get("product_retailer_id")) or "item"
        count = f"{_plain(quantity)} × " if quantity is not None else ""
        said.append(f"{count}{name}{f' at {_plain(price)} {currency}'.rstrip() if price is not None else ''}")
        currencies.add(currency if price is not None and quantity is not None else "?")
        total += (price or 0) * (quantity or 0)
    if len(listed) > MAX_ITEMS_SAID:
        return [*said, f"and {len(listed) - MAX_ITEMS_SAID} more"]
    if len(currencies) == 1 and "?" not in currencies:
        said.append(f"total {_plain(total)} {currencies.pop()}".rstrip())
    return said


def _amount(value: object, currency: object, parts: int = 1000) -> str:
    number = integer(value)
    if number is None or not 0 < number < 10**15 or not 0 < parts <= 10**6:
        return ""
    return f"{_plain(Decimal(number) / parts)} {line(currency, _MAX_CURRENCY_CHARS)}".rstrip()


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if (isinstance(value, str) and len(value) > _MAX_NUMBER_CHARS) or (
        isinstance(value, int) and abs(value) > _MOST
    ):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return round(number, 3) if number.is_finite() and 0 <= number <= _MOST else None


def _plain(number: Decimal) -> str:
    """149.000 as 149, 149.500 as 149.5."""
    written = f"{round(number, 3):f}"
    return written.rstrip("0").rstrip(".") if "." in written else written
