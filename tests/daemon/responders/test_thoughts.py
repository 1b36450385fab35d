"""What the model says to itself, to tools and in others' names: nothing of it is an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.responders.extraction import extract
from daemon.responders.thoughts import spoken, without_told_thoughts

A = "We open at 9."
S = "Secret: the margin is 40%."
ENVELOPE = json.dumps({"response": A, "confidence": 1})
DRAFT = json.dumps({"response": S, "confidence": 1})

THOUGHTS = {
    # tags
    "deepseek, qwen, glm": f"<think>\n{S}\n</think>\n\n{A}",
    "claude": f"<thinking>{S}</thinking>\n{A}",
    "antthinking": f'<antThinking depth="2">{S}</antThinking>{A}',
    "antml": f"<thinking>{S}</thinking>{A}",
    "exaone": f"<thought>\n{S}\n</thought>\n{A}[|endofturn|]",
    "seed": f"<seed:think>{S}</seed:think>{A}",
    "minimax m3": f"<mm:think>{S}</mm:think>{A}",
    "longcat": f"<longcat_think>{S}</longcat_think>{A}",
    "k2 horizon": f"<ifm|think_fast>{S}</ifm|think_fast>{A}",
    "reasoning": f"<reasoning>{S}</reasoning>{A}",
    "analysis": f"<analysis>\n{S}\n</analysis>\n{A}",
    "scratchpad": f"<scratchpad>{S}</scratchpad>{A}",
    "hermes": f"<REASONING_SCRATCHPAD>{S}</REASONING_SCRATCHPAD>{A}",
    "monologue": f"<inner_monologue>{S}</inner_monologue>{A}",
    "plan": f"<plan>1. {S}</plan>\n{A}",
    "critique later": f"We open <critique>{S}</critique>at 9.",
    "any case": f"<THINK>{S}</Think>{A}",
    "attributes": f'<think budget="300" lang=en>{S}</think >{A}',
    "other end": f"<think>{S}</thinking>{A}",
    "escaped": f"&lt;think&gt;{S}&lt;/think&gt;{A}",
    "escaped as in JSON": f"\\u003cthink\\u003e{S}\\u003c/think\\u003e{A}",
    "a box with a title": f"<details>\n<summary>🧠 Thinking</summary>\n\n{S}\n\n</details>\n\n{A}",
    "open web page": f'<details type="reasoning" done="true">\n<summary>5 s</summary>\n> {S}\n</details>\n{A}',
    "full width": f"＜think＞{S}＜/think＞{A}",
    "an empty tag": f"<think/>{A}",
    "output": f"<self_critique>{S}</self_critique>\n<output>\n{A}\n</output>",
    "a fence of thoughts": f"```thinking\n{S}\n```\n{A}",
    # square brackets and others
    "magistral": f"[THINK]{S}[/THINK]{A}",
    "lower case in brackets": f"[think]{S}[/think]{A}",
    "kimi vl": f"◁think▷{S}◁/think▷{A}",
    "pangu": f"[unused16]{S}[unused17]{A}",
    # special tokens
    "cohere": f"<|START_THINKING|>{S}<|END_THINKING|><|START_RESPONSE|>{A}<|END_RESPONSE|>",
    "command a": f"<|START_THINKING|>{S}<|END_THINKING|><|START_TEXT|>{A}<|END_TEXT|>",
    "apertus": f"<|inner_prefix|>{S}<|inner_suffix|>{A}<|assistant_end|>",
    "solar": f"<|think:start|>{S}<|think:end|>{A}",
    "plamo": f"<|plamo:begin_think:plamo|>{S}<|plamo:end_think:plamo|>{A}<|plamo:tag|>",
    "openthinker": f"<|begin_of_thought|>{S}<|end_of_thought|><|begin_of_solution|>{A}<|end_of_solution|>",
    "gemma 4": f"<|channel>thought\n{S}<channel|>{A}<turn|>",
    "gemma 4, half read": f"<|channel>\n{S}</channel|>\n{A}",
    "litert": f"<|think|>{S}<|/think|>{A}",
    "kimi k3": f"<|open|>think<|sep|>{S}<|close|>think<|sep|><|open|>response<|sep|>{A}<|close|>response<|sep|>",
    "inkling": f"<|content_thinking|>{S}<|end_message|><|message_model|><|content_text|>{A}<|end_message|>",
    # Harmony
    "gpt-oss": f"<|channel|>analysis<|message|>{S}<|end|><|start|>assistant<|channel|>final<|message|>{A}<|return|>",
    "gpt-oss, begun before": f"analysis<|message|>{S}<|end|><|start|>assistant<|channel|>final<|message|>{A}",
    "gpt-oss, two thoughts": f"<|channel|>analysis<|message|>{S}<|end|><|start|>assistant<|channel|>analysis<|message|>"
    f"{S}<|end|><|start|>assistant<|channel|>final<|message|>{A}",
    "gpt-oss, a comment first": f"<|channel|>commentary<|message|>One moment.<|end|><|start|>assistant<|channel|>final"
    f"<|message|>{A}<|return|>",
    "gpt-oss, JSON": f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final <|constrain|>json"
    f"<|message|>{ENVELOPE}<|return|>",
    "gpt-oss, tokens lost": f"analysisWe need to think. {S}assistantfinal{A}",
    "gpt-oss, a tool between": f"<|channel|>commentary to=functions.price <|constrain|>json<|message|>{{}}<|call|>"
    f"<|start|>assistant<|channel|>final<|message|>{A}",
    "muse": f"to=self<|message|>{S}<|eom|><|start|>assistant to=user<|message|>{A}<|eot|>",
    # answers in tags
    "hunyuan": f"<think>\n{S}\n</think>\n<answer>\n{A}\n</answer>",
    "ernie": f"{S}\n</think>\n\n<response>\n{A}\n</response>\n",
    "reasoning before the answer's tag": f"{S}\n<final_answer>{A}</final_answer>\nDone.",
    "never closed, then the answer's tag": f"<think>{S}\n<answer>{A}</answer>",
    # words instead of marks
    "granite": f"Here is my thought process: {S}\n\nHere is my response: {A}",
    "granite, quantized": f"Here's my thought process:\n{S}\nHere's my response:\n{A}",
    "react": f"Thought: {S}\nFinal Answer: {A}",
    "bold labels": f"**Reasoning:** {S}\n\n**Answer:** {A}",
    "ollama": f"Thinking...\n{S}\n...done thinking.\n\n{A}",
    "quoted thoughts": f"*Thinking...*\n\n> {S}\n> {S}\n\n{A}",
    "thought for": f"**Thought for 12 seconds**\n\n> {S}\n\n{A}",
    # how many, and how
    "several": f"<think>{S}</think>We open <thought>{S}</thought>at 9.",
    "nested": f"<think>{S}<think>{S}</think>{S}</think>{A}",
    "nested, other names": f"<thinking>{S}<reflection>{S}</reflection>{S}</thinking>{A}",
    "the tag is thought about": f"<think>I may write <think> here. {S}</think>{A}",
    "no beginning": f"{S}\n</think>\n\n{A}",
    "two ends": f"<think>{S}</think>{S}</think>{A}",
    "empty": f"<think>\n\n</think>\n\n{A}",
    "an end alone": f"</think>{A}",
    "in a fence": f"```\n<think>{S}</think>\n{A}\n```",
    "after the answer": f"{A}\n<think>{S}</think>",
    "after the answer, cut": f"{A}\n<think>{S}",
    "the end is cut": f"<think>{S}</think>{A}</think",
    # and the envelope
    "before the envelope": f"<think>{S}</think>\n{ENVELOPE}",
    "before a fenced envelope": f"<think>{S}</think>\n```json\n{ENVELOPE}\n```",
    "an envelope in thoughts": f"<think>{DRAFT}</think>{ENVELOPE}",
    "an envelope in thoughts without beginning": f"{S} {DRAFT} or so</think>\n{ENVELOPE}",
    "a half envelope in thoughts": f'<think>Perhaps {{"response": "{S}</think>{ENVELOPE}',
    "after the envelope": f"{ENVELOPE}\n<think>{S}</think>",
    "in the response": json.dumps({"response": f"<think>{S}</think>\n{A}", "confidence": 1}),
    "in the response, no beginning": json.dumps({"response": f"{S}</think>{A}", "confidence": 1}),
    "in the response, Harmony": json.dumps({"response": f"<|channel|>final<|message|>{A}<|return|>"}),
    "beside the response": json.dumps({"thought": f"<think>{S}", "response": A}),
    "in the response in the response": json.dumps({"response": json.dumps({"response": f"{S}</think>{A}"})}),
    "in another shape": json.dumps({"message": f"{S}</think>{A}"}),
    "as another name": json.dumps({"reasoning": S, "answer": A}),
    "as a part": json.dumps([{"type": "thinking", "thinking": S}, {"type": "text", "text": A}]),
    "in a cut envelope": f'{{"response": "<think>{S}</think>{A}',
    "labels before the envelope": f"Thought: {S}\n{ENVELOPE}",
}

TURNS = {
    "chatml": f"{A}<|im_end|>\n<|im_start|>user\n{S}<|im_end|>\n<|im_start|>assistant\n{S}",
    "chatml at the beginning": f"<|im_start|>assistant\n{A}<|im_end|>",
    "llama 3": f"<|start_header_id|>assistant<|end_header_id|>\n\n{A}<|eot_id|>"
    f"<|start_header_id|>user<|end_header_id|>\n\n{S}",
    "llama 4": f"<|header_start|>assistant<|header_end|>\n\n{A}<|eot|><|header_start|>user<|header_end|>\n\n{S}",
    "gemma": f"{A}<end_of_turn>\n<start_of_turn>user\n{S}<end_of_turn>",
    "gemma 4": f"{A}<turn|>\n<|turn>user\n{S}<turn|>",
    "mistral": f"[INST] {S} [/INST] {A}</s>",
    "llama 2": f"<s>[INST] <<SYS>>{S}<</SYS>> {S} [/INST] {A} </s><s>[INST] {S} [/INST]",
    "phi": f"<|assistant|>{A}<|end|><|user|>{S}",
    "granite": f"<|start_of_role|>assistant<|end_of_role|>{A}<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>{S}",
    "command r": f"<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>{A}<|END_OF_TURN_TOKEN|>"
    f"<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{S}",
    "deepseek": f"{A}<｜end▁of▁sentence｜><｜User｜>{S}<｜Assistant｜>{S}",
    "glm": f"[gMASK]<sop><|assistant|>\n{A}<|user|>\n{S}",
    "exaone": f"[|assistant|]{A}[|endofturn|]\n[|user|]{S}",
    "kimi k2": f"<|im_assistant|>assistant<|im_middle|>{A}<|im_end|><|im_user|>user<|im_middle|>{S}",
    "nemotron": f"<extra_id_1>{A}",
    "gpt-oss": f"<|channel|>final<|message|>{A}<|return|><|start|>user<|message|>{S}<|end|>"
    f"<|start|>assistant<|channel|>final<|message|>{S}",
    "the question repeated": f"<|im_start|>user\n{S}<|im_end|>\n<|im_start|>assistant\n{A}",
    "goes on after the end": f"{A}<|endoftext|>{S}",
    "end of sequence": f"<s>{A}</s>",
    "box": "We open at <|begin_of_box|>9<|end_of_box|>.",
    "padding": f"<pad><pad>{A}<eos>",
    "unknown": "We open<unk> at 9.",
    "bytes": "We<0x20>open<0x20>at 9.",
    "reserved": f"{A}<|reserved_special_token_12|>",
    "cut off": f"{A}<|im_en",
    "tokens lost": f"assistant\n\n{A}assistant\n\n{S}",
    "in the response": json.dumps({"response": f"{A}<|im_end|>\n<|im_start|>user\n{S}"}),
    "after the envelope": f"{ENVELOPE}<|eot_id|>",
}

TOOLS = {
    "qwen": f'{A}<tool_call>\n{{"name": "price", "arguments": {{}}}}\n</tool_call>',
    "hermes, cut": f'{A}\n<tool_call>{{"name": "price"',
    "llama": f'{A}<function=price>{{"item": "x"}}</function>',
    "claude": f'{A}<function_calls><invoke name="price"><parameter name="x">1</parameter></invoke></function_calls>',
    "minimax": f'<minimax:tool_call><invoke name="price">1</invoke></minimax:tool_call>{A}',
    "minimax m3": f'{A}]<]minimax[>[<tool_call>]<]minimax[>[<invoke name="price">]<]minimax[>[</invoke></tool_call>',
    "deepseek": f"{A}<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>price<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "deepseek v4": f'{A}\n<｜DSML｜tool_calls><｜DSML｜invoke name="x">1</｜DSML｜invoke></｜DSML｜tool_calls>',
    "kimi": f"{A}<|tool_calls_section_begin|><|tool_call_begin|>price<|tool_call_end|><|tool_calls_section_end|>",
    "gemma 4": f"<|tool_call>call:price{{}}<tool_call|>{A}",
    "mistral": f'{A}[TOOL_CALLS][{{"name": "price"}}]',
    "llama 3": f"{A}<|python_tag|>price.call(x=1)",
    "cohere": f"{A}<|START_ACTION|>[]<|END_ACTION|>",
    "result": f"<tool_response>{S}</tool_response>{A}",
}

NOTHING_BUT_THOUGHTS = [
    f"<think>{S}",
    f"<think>{S}</think>",
    f"<think>{S}</think>\n\n",
    f"{S}</think>",
    f"<think>{S}<think>{S}</think>{S}</think>",
    f"<think>{S}<|im_end|>{S}",
    f"&lt;thinking&gt;{S}",
    f"[THINK]{S}",
    f"◁think▷{S}",
    f"<|channel|>analysis<|message|>{S}",
    f"<|channel|>analysis<|message|>{S}<|end|>",
    f"<|channel>thought\n{S}",
    f"analysisWe think. {S}",
    f"thought\n{S}",
    f"Thinking Process:\n\n1. {S}",
    f"Thought: {S}",
    f"Here is my thought process: {S}",
    f"<plan>{S}",
    f"<think>{DRAFT}",
    json.dumps({"response": f"<think>{S}"}),
    json.dumps({"message": f"{S}</think>"}),
]

NOTHING_SAID = [
    '<tool_call>{"name": "price", "arguments": {}}</tool_call>',
    "<function=price>{}</function>",
    '[TOOL_CALLS][{"name": "price", "arguments": {}}]',
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>price<｜tool▁calls▁end｜>",
    "<|python_tag|>price.call(x=1)",
    "<|channel|>commentary to=functions.price<|message|>{}<|call|>",
    json.dumps({"type": "thinking", "thinking": S}),
    "<|im_end|>",
    "</s>",
]


@pytest.mark.parametrize("said", [*THOUGHTS.values(), *TURNS.values(), *TOOLS.values()])
def test_what_is_not_for_the_customer_does_not_leave(said: str) -> None:
    found = extract(said)
    assert found.text == A
    assert not found.only_thoughts
    assert extract(found.text).text == A


@pytest.mark.parametrize("said", NOTHING_BUT_THOUGHTS)
def test_thoughts_without_an_answer_are_none_and_say_so(said: str) -> None:
    found = extract(said)
    assert (found.text, found.only_thoughts, found.is_silence) == ("", True, False)


@pytest.mark.parametrize("said", NOTHING_SAID)
def test_a_call_of_a_tool_says_nothing(said: str) -> None:
    found = extract(said)
    assert (found.text, found.only_thoughts, found.is_silence) == ("", False, False)


@pytest.mark.parametrize(
    "text",
    [
        "I <3 you",
        "a < b > c",
        "if a<b and c>d",
        "<b>Hi</b>, dear <name>",
        "was <s>100</s>, now 80 SAR",
        "10 m<sup>2</sup>",
        "In HTML, `<think>` is no tag; in our course it is.",
        "Write `<think>x</think>` and see.",
        "The mark `<|im_end|>` ends a turn, they say.",
        "/refund <reason>",
        "<details><summary>More</summary>Prices</details> are below.",
        "Thoughts are free.",
        "I think: yes. Thinking of you!",
        "The analysis: all is well.",
        "An analysis\nof prices",
        "Our assistant\n\nwill call you.",
        "x <| f |> y",
        "To: user, from: us",
        "Is the answer <answer>?",
        "[INFO] [Sale] ◁ ▷ 【営業】",
        "Function f(x) = x",
    ],
)
def test_text_that_has_only_the_looks_of_a_mark_stays(text: str) -> None:
    assert extract(text).text == text
    assert spoken(text).text == text


TAGS = st.sampled_from(
    ["think", "thinking", "thought", "reasoning", "seed:think", "inner_monologue", "Analysis"]
)
WORDS = st.text("abc نعم\n.,!?<>/[]|{}\"'", max_size=30)


@given(st.lists(st.tuples(TAGS, WORDS, WORDS), max_size=4), WORDS)
def test_nothing_between_thoughts_marks_ever_leaves(blocks: list[tuple[str, str, str]], last: str) -> None:
    said = "".join(f"{before}<{tag}>QQ{inside}ZZ</{tag}>" for tag, before, inside in blocks) + last
    text = extract(said).text
    assert "QQ" not in text
    assert "ZZ" not in text


MARKS = st.sampled_from(
    [
        *(
            "<think>",
            "</think>",
            "[THINK]",
            "[/THINK]",
            "<answer>",
            "</answer>",
            "<tool_call>",
            "</tool_call>",
        ),
        *(
            "<|im_end|>",
            "<|im_start|>user\n",
            "<|im_start|>assistant\n",
            "<|channel|>final<|message|>",
            "\n",
            "<plan>",
        ),
        *(
            "<|channel|>analysis<|message|>",
            "<|end|>",
            "</plan>",
            "<s>",
            "</s>",
            '{"response": "',
            '"}',
            "Answer: ",
            "hi ",
        ),
    ]
)


@given(WORDS)
def test_thoughts_that_never_began_never_leave(words: str) -> None:
    assert "QQ" not in extract(f"QQ{words}</think>").text


@given(st.lists(MARKS, max_size=12).map("".join))
def test_thoughts_that_are_never_ended_never_leave(said: str) -> None:
    assert "QQ" not in extract(f"{said}<think>QQ").text


@given(st.lists(MARKS, max_size=12).map("".join))
def test_an_extracted_answer_is_not_changed_by_extracting_it_again(said: str) -> None:
    once = extract(said).text
    assert extract(once).text == once


def test_words_are_not_joined_where_thoughts_were() -> None:
    assert spoken("One<think>x</think>two").text == "One two"
    assert spoken("One\n<think>x</think>two").text == "One\n\ntwo"
    assert spoken("One <think>x</think>\n<think>y</think> two").text == "One\n\ntwo"


def test_labels_are_read_at_the_beginning_only() -> None:
    assert without_told_thoughts("Hello. Thought: x").text == "Hello. Thought: x"
    assert not without_told_thoughts("Reasoning: we are cheap").thought
