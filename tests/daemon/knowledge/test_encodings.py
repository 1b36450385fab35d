"""Text files of every common encoding, and of several in one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.knowledge.encodings import Decoded, NotText, decoded

WRITTEN = {
    "windows-1250": "Miód 95 zł, dostawa gratis w Łodzi. Święta zamknięte",
    "windows-1251": "Доставка по Москве 300 рублей",
    "windows-1252": "¿Cuánto cuesta el envío a Bogotá? Não cobramos em São Paulo – 90 €",
    "windows-1253": "Μέλι 95 ευρώ, αποστολή στην Αθήνα",
    "windows-1254": "Fiyatı 95 TL, İstanbul içi kargo ücretsiz. Şube: Beşiktaş",
    "windows-1255": "דבש 95 שקל, משלוח חינם",
    "windows-1256": "عسل سدر: 95 ريال\r\nتمر",
    "windows-1257": "Medus 95 eiro, piegāde Rīgā bez maksas",
}


@pytest.mark.parametrize("page", WRITTEN)
def test_a_text_in_a_code_page_of_windows(page: str) -> None:
    assert decoded(WRITTEN[page].encode(page)) == (WRITTEN[page], page)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_with_and_without_its_mark(encoding: str) -> None:
    text = "Honey عسل: 95 SAR\r\nDates"
    assert decoded(text.encode(encoding)).text == text


def test_a_file_that_was_put_together_from_others() -> None:
    """Each line is read as it was written; the Arabic one is not taken for noise."""
    content = b"\n".join(("Entrega: não".encode(), WRITTEN["windows-1256"].encode("cp1256"), b"plain"))
    assert decoded(content) == (
        f"Entrega: não\n{WRITTEN['windows-1256']}\nplain",
        "utf-8 and windows-1256",
    )


def test_the_declared_encoding_is_believed_where_it_is_possible() -> None:
    greek = WRITTEN["windows-1253"]
    assert decoded(greek.encode("cp1253"), "windows-1253") == (greek, "windows-1253")
    assert decoded("Preço à vista – 90 €".encode("cp1252"), "ISO-8859-1").text == "Preço à vista – 90 €"
    assert decoded("Preço à vista: não".encode("cp1252"), "utf-8").encoding == "windows-1252"
    for name in ("no-such", "undefined", "unicode_escape", "idna"):
        assert decoded("عسل سدر 95".encode("cp1256"), name).text == "عسل سدر 95"


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", bytes(range(256)), b"\x00\x01\x02\x03" * 50, b"\x89PNG\r\n\x1a\n" + b"\xe4" * 9],
)
def test_what_is_no_text_is_refused_with_advice(content: bytes) -> None:
    with pytest.raises(NotText, match="save it as UTF-8"):
        decoded(content)


@given(st.text())
def test_utf8_is_read_as_it_is(text: str) -> None:
    try:
        found = decoded(text.encode())
    except NotText:
        assert any(letter < " " for letter in text), "only control characters make a text none"
    else:
        assert found in (Decoded(text, "utf-8"), Decoded(text.removeprefix("\ufeff"), "utf-8"))
