"""What a model puts round its answer or into it that no person would write."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.responders.extraction import extract
from daemon.responders.wrapping import bare, without_sources

A = "We open at 9."

WRAPPED = {
    "markdown": f"```markdown\n{A}\n```",
    "md": f"```md\n{A}\n```",
    "text": f"```text\n{A}\n```\n",
    "bare fence": f"```\n{A}\n```",
    "tildes": f"~~~\n{A}\n~~~",
    "cut fence": f"```markdown\n{A}",
    "fence in the response": json.dumps({"response": f"```markdown\n{A}\n```"}),
    "assistant": f"Assistant: {A}",
    "bold assistant": f"**Assistant:** {A}",
    "bold, colon outside": f"**Assistant**: {A}",
    "ai": f"AI: {A}",
    "bot": f"Bot:\n{A}",
    "response": f"Response: {A}",
    "answer": f"Answer: {A}",
    "final answer": f"**Final Answer:** {A}",
    "heading": f"### Final Answer\n\n{A}",
    "arabic": f"المساعد: {A}",
    "arabic answer": f"الإجابة النهائية: {A}",
    "spanish": f"Respuesta: {A}",
    "portuguese": f"Assistente: {A}",
    "full width": f"Assistant：{A}",
    "label in the response": json.dumps({"response": f"Assistant: {A}"}),
    "a transcript": f"System: be brief\nUser: when?\nAssistant: {A}",
    "a transcript, headed": f"### Instruction\nwhen?\n\n### Response\n{A}\n\n### Instruction\nthanks",
    "a transcript, arabic": f"العميل: متى؟\nالمساعد: {A}",
    "file named": f"{A} (source: hours.pdf)",
    "file named in brackets": f"{A} [Source: hours 2026.docx]",
    "file named in a line": f"{A}\n\n*Source:* hours.pdf",
    "goes on as the customer": f"Assistant: {A}\nUser: thanks\nAssistant: bye",
    "goes on as the customer, arabic": f"المساعد: {A}\nالعميل: شكرا",
    "label before the envelope": f"Assistant: {json.dumps({'response': A})}",
    "quotes": f'"{A}"',
    "curly quotes": f"“{A}”",
    "guillemets": f"«{A}»",
    "single quotes": f"'{A}'",
    "low quotes": f"„{A}“",
    "low quotes, english end": f"„{A}”",
    "corner brackets": f"「{A}」",
    "quotes in quotes": f'"“{A}”"',
    "label, then quotes": f'Response: "{A}"',
    "fence, label, quotes": f'```\nAssistant: "{A}"\n```',
    "quotes in the response": json.dumps({"response": f'"{A}"'}),
    "openai files": "We open at 9【4:0†prices.pdf】.",
    "openai source": "We open【1†source】 at 9.",
    "openai, lines": "We open at 9【6†L10-L12】.",
    "numbers": "We open at 9【1】.",
    "responses": "We open at 9 \ue200filecite\ue202turn0file0\ue202turn0file1\ue201.",
    "responses, signs lost": "We open at 9 citeturn0search5turn0search15.",
    "chatgpt": "We open at 9:contentReference[oaicite:0]{index=0}.",
    "oaicite": "We open at 9[oaicite:3].",
    "bing": "We open at 9[^1^].",
    "footnotes": "We open at 9[^1].\n\n[^1]: prices.pdf",
    "deepseek": "We open at 9[citation:3][citation:4].",
    "gemini": "[cite_start]We open at 9 [cite: 1, 2].",
    "azure": "We open at 9 [doc1][doc2].",
    "perplexity": "We open at 9[1][2].",
    "perplexity, after the sentence": "We open at 9.[3]",
    "claude": 'We <cite index="1-2">open at 9</cite>.',
    "cohere": "We <co: 0>open at 9</co: 0>.",
    "superscript": "We open at 9<sup>[1]</sup>.",
    "grok": 'We open at 9<grok:render card_id="a"><argument name="citation_id">1</argument></grok:render>.',
    "cut": "We open at 9.【4:0†pri",
    "letters": "".join(f"\\u{ord(letter):04x}" for letter in A),
}


@pytest.mark.parametrize("said", WRAPPED.values(), ids=WRAPPED.keys())
def test_an_answer_comes_out_of_what_is_round_it(said: str) -> None:
    assert extract(said).text == A
    assert extract(extract(said).text).text == A


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (r"Line one\n\nLine two", "Line one\n\nLine two"),
        (r"Line one\nline two", "Line one\nline two"),
        (r"Line one\\nLine two", "Line one\nLine two"),
        (r"Line one\r\nLine two", "Line one\nLine two"),
        (r"Prices:\n- Oud:\t5\n- Musk:\t6", "Prices:\n- Oud:\t5\n- Musk:\t6"),
        (r"She said \"hi\"\nand left", 'She said "hi"\nand left'),
        (r"نفتح الساعة ٩\nأهلا بك", "نفتح الساعة ٩\nأهلا بك"),
        (r"Hi \ud83d\ude00\nWe open at 9", "Hi 😀\nWe open at 9"),
        (r"\u0645\u0631\u062d\u0628\u0627", "مرحبا"),
        (r"\u0645\u0631\u062d\u0628\u0627\n\u0628\u0643", "مرحبا\nبك"),
        (json.dumps({"response": r"One\nTwo"}), "One\nTwo"),
        (r'"One\nTwo"', "One\nTwo"),
    ],
)
def test_written_line_breaks_become_real(said: str, text: str) -> None:
    assert extract(said).text == text


STAYS = [
    r"It is in C:\new\table.",
    r"Open C:\notes and D:\temp\names.",
    r"The share is \\server\new\files.",
    r"See docs\new.txt for it.",
    r"Use \d+\n to match it.",
    r"Write \n for a new line.",
    r'Type "\n" for a new line.',
    r"Type `a\nb` for two lines.",
    "One real line\nand a written \\n one",
    "No escape here: 5 \\ 3",
    '"A" and "B"',
    "«أهلا» وسهلا «بك»",
    "“A” or “B”",
    "'A' is 'B'",
    '5" and 7"',
    "'90s music",
    "قال «نعم» ثم ذهب",
    "It's Huda's",
    "```python\nprint(1)\n```",
    "```\na\n```\nand\n```\nb\n```",
    "```json\n{\n```",
    "Text\n```\ncode\n```",
    "[1] Apples\n[2] Pears",
    "Take item [1] or [2].",
    "【1】料金\n【2】時間",
    "【营业时间】9点",
    "x = a[1] + b[2]",
    "Call `a[1][2]` there.",
    "A [link](https://shop.example/a) and [1](https://shop.example/b)",
    "The [source] is here",
    "Your order [ref 12345] left.",
    "10 m<sup>2</sup>",
    "Assistant managers: we hire",
    "Response time: 2 h",
    "Output: 5 kW",
    "AI is great",
    "My wish: yes",
    "Hello\nUser: is your name",
    "Customer:\nHuda\n\nResponse: within 2 hours",
    "Customer: Huda\nOrder: 55",
    "Source: Arabica beans",
    "Source: https://shop.example/a.pdf",
    "N/A for this model.",
    "Answer:",
    "Price: 90 SAR\nSize: 5",
    "Cite us in your work",
    "5*3=15 and 4_4",
    "🙂👨‍👩‍👧",
    "نعم، {الاسم}",
]


@pytest.mark.parametrize("text", STAYS)
def test_what_people_write_stays(text: str) -> None:
    assert extract(text).text == text
    assert without_sources(bare(text)) == text


@given(st.text("\"'“”«» \n\\nrtu0`[]1【†】:abAب.", max_size=40))
def test_taking_off_never_adds(text: str) -> None:
    assert len(bare(text)) <= len(text)
    assert len(without_sources(text)) <= len(text)
