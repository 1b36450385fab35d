"""Files are read in a child process: whatever is in them, the caller gets a file or a sentence within limits."""

from __future__ import annotations

import os
import time
import zlib
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from daemon.knowledge import reading
from daemon.knowledge.readers import UnreadableFile, parse
from daemon.knowledge.reading import LIMITS, read

FIXTURES = Path(__file__).parent / "fixtures"


def bomb(letters: int) -> bytes:
    """A PDF of one page that draws so many letters; packed, a thousandth of them is left."""
    drawn = b"BT /F 9 Tf " + b"(%b) Tj " % (b"a" * 30_000) * (letters // 30_000) + b"ET"
    packed = zlib.compress(drawn, 9)
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R"
        b"/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%b\nendstream" % (len(packed), packed),
    )
    made = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj%b endobj\n" % (number, content)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    return made + head + rows + b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(made)


def test_the_child_reads_what_the_reader_reads() -> None:
    path = FIXTURES / "prices_ar.pdf"
    assert read(path) == parse(path.name, path.read_bytes())


def test_a_sentence_of_the_reader_reaches_the_caller() -> None:
    with pytest.raises(UnreadableFile, match="protected by a password"):
        read(FIXTURES / "locked.pdf")


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A named pipe that nobody writes to would hold the command for ever."""
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    for path, words in (
        (pipe, "is not a regular file"),
        (Path("/dev/zero"), "is not a regular file"),
        (tmp_path, "is a directory"),
        (tmp_path / "missing.pdf", "check its name"),
    ):
        with pytest.raises(UnreadableFile, match=words):
            read(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(reading.MAX_BYTES + 1)
    with pytest.raises(UnreadableFile, match="is larger than 20 MiB"):
        read(large)


def test_a_small_pdf_that_asks_for_gigabytes_ends_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pdf"
    path.write_bytes(bomb(24_000_000))
    assert path.stat().st_size < 64 * 1024
    limits = msgspec.structs.replace(LIMITS, memory_bytes=384 * 1024 * 1024)
    with pytest.raises(UnreadableFile, match="cannot be read within 384 MiB of memory"):
        read(path, limits)


def test_a_page_of_too_many_letters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.knowledge.pdf.MAX_CHARS", 80_000)
    with pytest.raises(UnreadableFile, match="more than 80,000 letters"):
        parse("page.pdf", bomb(90_000))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cpu_seconds": 1}, "takes longer than 1 s"),
        ({"wall_seconds": 0.3, "cpu_seconds": 600}, "takes longer than"),
        ({"output_bytes": 0}, "more text than can be added"),
    ],
)
def test_time_and_output_are_limited(tmp_path: Path, changed: dict[str, float], words: str) -> None:
    path = tmp_path / "prices.txt"
    path.write_text("Honey" if "output_bytes" in changed else "a. " * 6_000_000)
    began = time.monotonic()
    with pytest.raises(UnreadableFile, match=words):
        read(path, msgspec.structs.replace(LIMITS, **changed))
    assert time.monotonic() - began < LIMITS.wall_seconds
    assert _readers() == [], "the child is gone, and was waited for"


def _readers() -> list[str]:
    """The children of this process that read a file; fixtures may have children of their own."""
    found = []
    for task in Path("/proc/self/task").glob("*/children"):
        for pid in task.read_text().split():
            with suppress(OSError):  # another one that ended at this moment
                found.append(Path(f"/proc/{pid}/cmdline").read_bytes().decode())
    return [command for command in found if "daemon.knowledge.reading" in command]
