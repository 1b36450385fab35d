"""Products, orders and payments. The real shapes are fixtures of test_payload.py; here is what is odd."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.gateways.evolution import trade
from tests.daemon.gateways.evolution.test_payload import JSON


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"itemCount": 1, "totalAmount1000": "999"}, "[order: 1 item, total 0.999]"),
        ({"itemCount": 0, "totalAmount1000": 0}, "[order]"),
        ({"totalAmount1000": -5, "totalCurrencyCode": "SAR"}, "[order]"),
        ({"totalAmount1000": 10**18, "totalCurrencyCode": "SAR"}, "[order]"),
        ({"totalAmount1000": 150_000_000, "totalCurrencyCode": "SAR"}, "[order: total 150000 SAR]"),
        ({"product_items": [7, {"name": "Dates", "quantity": 2}]}, "[order: item, 2 × Dates]"),
        # A total in two currencies is none.
        (
            {"product_items": [{"item_price": 1, "quantity": 1, "currency": c} for c in ("SAR", "BRL")]},
            "[order: 1 × item at 1 SAR, 1 × item at 1 BRL]",
        ),
        ({"product_items": [{"item_price": "1e99", "quantity": "NaN"}]}, "[order: item]"),
    ],
)
def test_an_order_says_what_it_has(part: dict[str, Any], said: str) -> None:
    assert trade.order(part) == said


def test_a_long_order_is_shortened() -> None:
    said = trade.order({"product_items": [{"item_price": 1, "quantity": 1, "currency": "SAR"}] * 25})
    assert said.count("item at") == trade.MAX_ITEMS_SAID
    assert said.endswith(", and 5 more]")


def test_a_product_on_sale_says_both_prices() -> None:
    product = {
        "title": "Ajwa",
        "priceAmount1000": 90000,
        "salePriceAmount1000": "75000",
        "currencyCode": "SAR",
    }
    assert trade.product({"product": product}) == "[product: Ajwa, 90 SAR, now 75 SAR]"


def test_a_catalogue_is_no_product() -> None:
    assert trade.product({"catalog": {"title": "Autumn", "description": "All"}}) == "[catalogue: Autumn] All"


FIELDS = [
    "product",
    "product_items",
    "amount",
    "noteMessage",
    "itemCount",
    "totalAmount1000",
    "priceAmount1000",
]


@given(st.dictionaries(st.sampled_from([*FIELDS, "item_price", "quantity"]), JSON))
def test_any_goods_are_said(part: dict[str, Any]) -> None:
    for read in (trade.product, trade.order, trade.payment, trade.payment_request, trade.invoice):
        assert read(part).startswith("[")
        assert read({"product": part, "product_items": [part, part], "amount": part}).startswith("[")
