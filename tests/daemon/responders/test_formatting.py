"""Markdown becomes WhatsApp's formatting, what is text stays text, and nothing costs more than its length."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.responders.formatting import for_whatsapp

SAMPLES = [
    # emphasis
    ("**bold** __bold__ *it* _it_ ***both*** ~~old~~", "*bold* *bold* _it_ _it_ *_both_* ~old~"),
    ("**السعر:**90 ريال", "*السعر:* 90 ريال"),
    ("اطلب**الآن**، و**الكتاب** جديد", "اطلب *الآن*، *والكتاب* جديد"),
    ("في **\"الرياض\"**، **غداً**؟", 'في *"الرياض"*، *غداً*؟'),
    ("**价格：**90元", "*价格：* 90元"),
    ("在**北京**开店", "在北京开店"),
    ("\u200f**السعر**\u200f: 5", "\u200f*السعر*\u200f: 5"),
    ("**two\nlines** here", "*two*\n*lines* here"),
    ("**never closed", "never closed"),
    ("**5*3 = 15** is **so**", "5*3 = 15 is *so*"),
    ("**See https://x.example/a_b* now**", "*See* https://x.example/a_b* *now*"),
    ("**a 5* hotel** and **b**", "a 5* hotel and *b*"),
    # WhatsApp's own
    ("*Offer* _today_ ~90~ `x` # 5", "*Offer* _today_ ~90~ `x` # 5"),
    ("*a* and [b](https://b.example)", "*a* and b: https://b.example"),
    ("**a** and *b*, 5*3*2", "*a* and _b_, 5*3*2"),
    # lines
    ("## Delivery\n### **Price** ##\ntext\n# 5", "*Delivery*\n*Price*\ntext\n# 5"),
    ("* one\n*   two\n    + three\n1. four\n+ 966 50", "- one\n- two\n    - three\n1. four\n+ 966 50"),
    ("- [ ] a\n* [x] b", "☐ a\n☑ b"),
    (">a\n> > b\n>5 kg\nc **d**", "> a\n> b\n>5 kg\nc *d*"),
    ("a\n---\nb\n***\n\n\n\nc", "a\n\nb\n\nc"),
    ("2024\\. We **opened**\n2025. again", "2024. We *opened*\n2025. again"),
    # code
    ("```markdown\n# Hours\n**9**–22\n```", "*Hours*\n*9*–22"),
    ("```\nWe open at 9.\n```", "We open at 9."),
    ("Do:\n```bash\nmajlis status\nmajlis top\n```\nok", "Do:\n```majlis status\nmajlis top```\nok"),
    ("```\nx = 1\n```", "```x = 1```"),
    ("`**x**` and ``y``", "`**x**` and `y`"),
    # links
    ("- [our site](https://example.com/a)", "- our site: https://example.com/a"),
    ("see [the map](https://m.example/x?y=(1)) now", "see the map (https://m.example/x?y=(1)) now"),
    ("**[موقعنا](https://x.example/ar)**.", "*موقعنا* (https://x.example/ar)."),
    ("<https://x.example/a_b> <a@b.example>", "https://x.example/a_b a@b.example"),
    ("[https://x.example](https://x.example/) [x.example](https://x.example)", "https://x.example x.example"),
    ("[+966 50 123](tel:+96650123) [mail](mailto:a_b@c.example) x", "+966 50 123 mail (a_b@c.example) x"),
    ("[Menu](https://x.example/my file.pdf)", "Menu: https://x.example/my%20file.pdf"),
    ("[Shop](/shop) [bad](javascript:alert(1)) x", "Shop bad x"),
    ("![Logo](https://x.example/l.png)", "Logo: https://x.example/l.png"),
    ("[a][1] [b][1]\n\n[1]: https://x.example\n[2]: https://y.example", "a (https://x.example) b\n\n2: https://y.example"),
    ("good[^1] **x**\n\n[^1]: says who", "good[1] *x*\n\n[1]: says who"),
    # blanks that a model left out, or put within the marks
    ("~~120~~**90** SAR", "~120~ *90* SAR"),
    ("السعر:**90 ريال**فقط، و**التوصيل**مجاني، **90**ريال", "السعر:*90 ريال* فقط، *والتوصيل* مجاني، *90* ريال"),
    ("**خصم 20%**على **مطعم**نا ***المقهى:***الجديد", "*خصم 20%* على *مطعمنا* *_المقهى:_* الجديد"),
    ("** السعر: ** 90\n**Price ** 90\n**السعر:****90**", "*السعر:* 90\n*Price* 90\n*السعر:* *90*"),
    ("**a** 2 ** 3 = 8 and 2 ** 4, ah****@x.example **b**", "*a* 2 ** 3 = 8 and 2 ** 4, ah****@x.example *b*"),
    # tables
    ("Prices:\n| Tea | 8 |\n| Coffee | **12** |", "Prices:\nTea: 8\nCoffee: *12*"),
    ("+---+---+\n| Item | SAR |\n+===+===+\n| Tea | 8 |\n+---+---+\nThanks", "*Item: SAR*\nTea: 8\nThanks"),
    ("| one | line |", "| one | line |"),
    ("|--|--|\n|--|--|\nx", "x"),
    ("| Item | Price |\n|---|--:|\n| Honey | **90** |\n| a\\|b | 5 |", "*Item: Price*\nHoney: *90*\na|b: 5"),
    ("|A|B|C|\n|-|-|-|\n|x|1|2|\n|y|3||", "*x*\nB: 1\nC: 2\n\n*y*\nB: 3"),
    # HTML, entities, escapes, formulas
    ("Hi<br>**a**<br/><b>b</b>&nbsp;&amp; <i>c</i> 5 < 6 <your name>", "Hi\n*a*\n*b* & _c_ 5 < 6 <your name>"),
    ("<ul><li>One</li><li>Two</li></ul>", "- One\n- Two"),
    ('<a href="https://x.example">page</a>', "page: https://x.example"),
    ("5\\*3, my\\_file\\_name\\.txt", "5*3, my_file_name.txt"),
    ("\\(5 \\times 3\\), \\[\\frac{a}{2}\\], $$mc^2$$, $5 or $10, \\[Me\\]", "5 × 3, a/2, mc², $5 or $10, [Me]"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "shown"), SAMPLES)
def test_an_answer_looks_on_the_phone_as_the_model_meant(written: str, shown: str) -> None:
    assert for_whatsapp(written) == shown
    assert for_whatsapp(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "2 * 3 * 4 = 24, 5*3, 2**10, snake_case_name, __/__/____, Name: ____",
        "**** **** **** 1234, ah***@mail.example, ***1234",
        "https://x.example/a_b_c*d~e(f)#g, a_b@c.example",
        "✅ done\n• a\n  – b\n\n- c\n\n1) d\n#hashtag, order # 5",
        "مرحباً\u200f! السعر: ٩٠ (ر.س.)\n\u2067*x*\u2069",
    ],
)
def test_text_is_text(text: str) -> None:
    assert for_whatsapp(text) == text


def test_a_price_list_of_two_hundred_rows_stays_short() -> None:
    rows = [f"| Honey no {i} | {i} g | {i + 5} SAR | yes |" for i in range(200)]
    shown = for_whatsapp("\n".join(["| Item | Size | Price | Stock |", "|---|---|---|---|", *rows]))
    assert shown.startswith("*Item: Size, Price, Stock*\nHoney no 0: 0 g, 5 SAR, yes\n")
    assert shown.count("\n") == 200


def test_a_reference_that_is_repeated_does_not_repeat_its_address() -> None:
    written = "[a][1] " * 500 + f"\n\n[1]: https://x.example/{'y' * 3_000}"
    assert len(for_whatsapp(written)) < len(written)


PIECES = (
    *(
        "*",
        "**",
        "***",
        "_",
        "__",
        "~~",
        "`",
        "```",
        "~~~",
        "[",
        "](",
        ")",
        "![",
        "[^1]",
        "[a]: https://y.example",
    ),
    *(
        "https://x.example/a",
        "<b>",
        "</b>",
        "<br>",
        "<li>",
        "\\",
        "\\(",
        "\\)",
        "$$",
        "&amp;",
        "&lt;",
        "#",
        "# ",
        "@",
    ),
    *(
        " ",
        "\n",
        "\n\n",
        "a",
        "b c",
        "5",
        "- ",
        "+ ",
        "> ",
        "1. ",
        "|",
        "\n|--|--|\n",
        "---",
        "م",
        "**م:**90",
        "،",
        "🌟",
    ),
)


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_what_is_formatted_stays_as_it_is(text: str) -> None:
    shown = for_whatsapp(text)
    assert for_whatsapp(shown) == shown


@given(st.text())
def test_any_text_is_formatted_once(text: str) -> None:
    shown = for_whatsapp(text)
    assert for_whatsapp(shown) == shown


@given(st.text(st.characters(categories=("L", "N", "Zs", "So"), include_characters=".,:!?-()\n\u200f،؟")))
def test_text_without_marks_is_returned_to_the_byte(text: str) -> None:
    plain = re.sub(r"\n\s*\n", "\n", re.sub(r"(?m)^[\s-]+$", "", text))
    assert for_whatsapp(plain) == plain
