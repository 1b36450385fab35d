"""What is looked for before a costly pattern is tried: it misses nothing that the pattern would find."""

from __future__ import annotations

import re
from string import ascii_lowercase

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.responders import extraction, formatting, wrapping
from daemon.responders.letters import may_say

SIGNS = st.text(st.sampled_from("*_~`[]<>&\\$#|+-:.x1 \t\n†【\ue200"), max_size=12)


def test_every_letter_that_a_pattern_takes_for_another_is_known() -> None:
    """Turkish has two letters for an "i", old print a long "s", physics a sign for Kelvin."""
    every = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    found = set(re.findall("[a-z]", every, re.IGNORECASE))
    assert len(found) > 52
    for one in found:
        meant = [letter for letter in ascii_lowercase if re.fullmatch(letter, one, re.IGNORECASE)]
        assert (one, [may_say(f"the {one}", (letter,)) for letter in meant]) == (one, [True] * len(meant))


@settings(max_examples=40)
@given(SIGNS)
def test_whatever_has_a_sign_may_have_one(text: str) -> None:
    if formatting._SIGNS.search(text):
        assert formatting._MAY_HAVE_SIGNS.search(text)
    if wrapping._SIGNS.search(text):
        assert wrapping._MAY_BE_SIGN.search(text) or may_say(text, wrapping._SIGN_WORDS)


@settings(max_examples=40)
@given(st.from_regex(wrapping._SIGNS), st.from_regex(wrapping._FILE_SOURCE), st.from_regex(formatting._SIGNS))
def test_whatever_a_pattern_finds_is_looked_for(sign: str, source: str, markdown: str) -> None:
    assert wrapping._MAY_BE_SIGN.search(sign) or may_say(sign, wrapping._SIGN_WORDS)
    assert may_say(source, wrapping._SOURCE_NAMES)
    assert formatting._MAY_HAVE_SIGNS.search(markdown)


@settings(max_examples=40)
@given(st.from_regex(extraction._SHOWN), st.from_regex(extraction._UNMISTAKABLE))
def test_whatever_names_the_envelope_is_looked_for(shown: str, unmistakable: str) -> None:
    assert may_say(shown, extraction._NAMES_BEGIN)
    assert may_say(unmistakable, extraction._NAMES_BEGIN)
