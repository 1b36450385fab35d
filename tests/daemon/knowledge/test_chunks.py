"""Chunks: nothing is lost, none is too long, lines stay whole."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.knowledge.chunks import MAX_CHARS, OVERLAP_CHARS, TextSection, chunks

_word = st.text(alphabet="abcسعر", min_size=1, max_size=12)
_sentence = st.lists(_word, min_size=1, max_size=60).map(" ".join)
_text = st.lists(
    st.tuples(_sentence, st.sampled_from(["\n", "\n\n", ". ", "؟ ", " "])), min_size=1, max_size=40
).map(lambda parts: "".join(sentence + end for sentence, end in parts))


@given(st.one_of(_text, st.text(max_size=3000), st.text(alphabet="x", min_size=1000, max_size=4000)))
@settings(deadline=None)
def test_nothing_is_lost_and_no_chunk_is_too_long(text: str) -> None:
    whole = "".join(text.split())
    read = 0
    for chunk in chunks([TextSection("", text)]):
        assert 0 < len(chunk.text) <= MAX_CHARS
        said = "".join(chunk.text.split())
        starts = [at for at in range(max(0, read - OVERLAP_CHARS), read + 1) if whole.startswith(said, at)]
        assert starts, "a chunk follows on the one before, or repeats its last sentence"
        read = max(read, starts[-1] + len(said))
    assert read == len(whole)


def test_a_price_list_keeps_its_lines_whole() -> None:
    lines = [f"عسل سدر رقم {number} من الجبل: {number * 5} ريالاً للكيلو" for number in range(200)]
    found = chunks([TextSection("الأسعار", "\n".join(lines))])
    assert len(found) > 5 and {chunk.heading for chunk in found} == {"الأسعار"}
    assert set("\n".join(chunk.text for chunk in found).split("\n")) == set(lines)
    assert [chunk.ordinal for chunk in found] == list(range(len(found)))


def test_text_that_fits_stays_together_and_sections_stay_apart() -> None:
    found = chunks([TextSection("A", "one\n\ntwo"), TextSection("B", "three")])
    assert [(chunk.heading, chunk.text) for chunk in found] == [("A", "one\n\ntwo"), ("B", "three")]


def test_a_chunk_begins_with_the_last_short_sentence_before_it() -> None:
    first = "Delivery is free. " + "word " * 150 + "end. It costs 20 riyals."
    second = "That holds for Riyadh alone. " + "more " * 100
    found = chunks([TextSection("", f"{first}\n\n{second}")])
    assert found[1].text.startswith("It costs 20 riyals.\n\nThat holds for Riyadh alone.")


def test_empty_text_makes_no_chunk() -> None:
    assert chunks([]) == () and chunks([TextSection("", " \n ")]) == ()
