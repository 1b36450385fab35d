"""What is true of one moment or one customer is recognised, in the languages that customers write."""

from __future__ import annotations

import pytest

from actors.momentary import names_a_moment, names_customer


@pytest.mark.parametrize(
    "answer",
    [
        "We open at 9.",
        "We open at 9 and close at 10",
        "Come by 3 pm",
        "open from nine to five",
        "15:30",
        "３：３０",
        "We close at noon",
        "We open in two hours",
        "We closed 20 minutes ago",
        "Good morning!",
        "See you this evening",
        "الساعة ٣",
        "نفتح الساعه التاسعة صباحاً",
        "مفتوح من ٩ إلى ١٠",
        "نغلق العاشرة",
        "مساء الخير",
        "صباح النور",
        "بعد صلاة العصر",
        "نفتح بعد ساعتين",
        "Abrimos às 15h",
        "Bom dia!",
        "buenas tardes",
        "Nous ouvrons à 9h30",
        "Abrimos às 9 e fechamos às 18",
        "Das nove às dezoito",
        "aberto até 22",
        "em duas horas",
        "abrimos ao meio-dia",
        "hasta las 22",
        "de 9 a 18",
        "We are open 9-5",
        "open 9 to 5",
        "9 – 22",
        "half past nine",
        "نفتح الصبح",
        "نفتح ٩ ونقفل ١٠",
        "بعد العشا",
        "مساك الله بالخير",
        "x" * 20_000,
    ],
)
def test_a_time_of_day_is_recognised(answer: str) -> None:
    assert names_a_moment(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Sukkari is 90 SAR.",
        "Prices from 50 SAR",
        "from 20 SAR for 3 kg",
        "The box has 12 pieces",
        "Delivery takes 3 days",
        "Delivery takes 3 to 5 business days",
        "2-3 dias úteis",
        "يصل من ٢ إلى ٣ أيام",
        "from 2 to 3 kg",
        "السعر ٩٠ ريال للكيلو",
        "من ٢٠ ريال",
        "أهلا، السكري متوفر",
        "قطعة واحدة",
        "muito bom",
        "",
    ],
)
def test_amounts_are_no_times(answer: str) -> None:
    assert not names_a_moment(answer)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("Hi Huda!", "Huda"),
        ("Dear huda, yes.", "HUDA 🌸 Al-Omar"),
        ("We deliver to Omar too", "Huda Al-Omar"),
        ("أهلا يا هُدى", "هدى"),
        ("لهدى ٩٠ ريال", "هدى"),
        ("You will get it", "Will Smith"),
        ("小明你好", "小明"),
        ("أهلا هدى", "Huda"),
        ("Hello Huda", "هدى"),
        ("x" * 20_000, "Huda"),
    ],
)
def test_an_answer_that_may_name_the_customer_is_recognised(answer: str, name: str) -> None:
    """Also by a word that is common, and in another script, where nobody can tell."""
    assert names_customer(answer, name)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("It is 90 SAR", "Huda"),
        ("السعر ٩٠ ريال", "هدى"),
        ("السعر ٩٠ ريال", "Huda هدى"),
        ("90 👍", "هدى"),
        ("a date", "A. Khan"),
        ("价格", "小明"),
        ("Hi Huda!", ""),
    ],
)
def test_an_answer_without_the_name_is_for_everybody(answer: str, name: str) -> None:
    assert not names_customer(answer, name)
