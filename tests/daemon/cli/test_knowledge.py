"""`majlis knowledge` and `majlis cache`, typed at a running door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_library import FakeLibrary
from tests.daemon.operate.fake_operations import DoorInThread

PDF = Path(__file__).parents[1] / "knowledge" / "fixtures" / "prices_ar.pdf"


def shelf(door: DoorInThread) -> FakeLibrary:
    library = door.operations.library
    assert isinstance(library, FakeLibrary)
    return library


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    path = tmp_path / "delivery.md"
    path.write_text("\n".join(f"# City {number}\n{number} SAR" for number in range(70)))
    return path


def test_files_are_added_in_portions_with_a_line_each(
    door: DoorInThread, majlis: Typed, delivery: Path
) -> None:
    done = majlis("knowledge", "add", "acme", str(PDF), str(delivery))
    assert (done.status, done.err) == (0, "")
    assert done.out == "prices_ar.pdf: added, 1 chunk\ndelivery.md: added, 70 chunks\n"
    chunks = shelf(door).loads[2]
    assert sorted(chunks) == list(range(70)) and chunks[69].heading == "City 69"
    assert "عسل سدر جبلي ٥٠٠ غرام: ١٨٠ ريالا" in shelf(door).loads[1][0].text
    assert [(entry.action, entry.target) for entry in door.operations.audited] == [
        ("knowledge.add", "acme: prices_ar.pdf"),
        ("knowledge.ready", "acme: load 1"),
        ("knowledge.add", "acme: delivery.md"),
        ("knowledge.ready", "acme: load 2"),
    ]
    assert door.operations.reloads == 2, "the daemon knows of each file at once"


def test_a_file_again_is_unchanged_or_replaced(door: DoorInThread, majlis: Typed, delivery: Path) -> None:
    majlis("knowledge", "add", "acme", str(delivery))
    assert majlis("knowledge", "add", "acme", str(delivery)).out == "delivery.md: unchanged, 70 chunks\n"
    delivery.write_text("free")
    told = json.loads(majlis("knowledge", "add", "acme", str(delivery), "--json").out)
    assert told == [{"name": "delivery.md", "state": "replaced", "chunks": 1}]


def test_files_are_listed_and_removed(door: DoorInThread, majlis: Typed, delivery: Path) -> None:
    assert majlis("knowledge", "list", "acme").out == "0 files of acme\n"
    majlis("knowledge", "add", "acme", str(delivery))
    listed = majlis("knowledge", "list", "acme").out
    assert "delivery.md" in listed and "70" in listed and "none" in listed and "1 file of acme" in listed
    assert json.loads(majlis("knowledge", "list", "acme", "--json").out)["files"][0]["chunks"] == 70
    done = majlis("knowledge", "remove", "acme", "delivery.md", "other.md")
    assert (done.status, done.out) == (1, "delivery.md: removed\n")
    assert done.err == "majlis: acme has no file called other.md; see `majlis knowledge list acme`\n"
    assert door.operations.audited[-1].target == "acme: delivery.md, other.md"


def test_all_are_read_before_the_first_is_added(
    door: DoorInThread, majlis: Typed, delivery: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter.docx").write_bytes(b"PK")
    done = majlis("knowledge", "add", "acme", str(delivery), str(tmp_path / "letter.docx"))
    assert done.status == 1 and "save it as PDF or text" in done.err and len(done.err.splitlines()) == 1
    assert shelf(door).heads == {}


def test_bad_ends_are_one_sentence(door: DoorInThread, majlis: Typed, delivery: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    twin = tmp_path / "sub" / "delivery.md"
    twin.write_text("x")
    shelf(door).fails_at = 40
    for arguments, words in (
        (("add", "nobody", str(delivery)), "has no instance 'nobody'"),
        (("list", "nobody"), "has no instance 'nobody'"),
        (("add", "acme", str(delivery)), "remove files that are not needed"),
        (("add", "acme", str(delivery), str(twin)), "two files are called delivery.md"),
        (("add", "acme", str(tmp_path / "no.txt")), "check its name"),
    ):
        done = majlis("knowledge", *arguments)
        assert done.status == 1 and done.out == "" and words in done.err and len(done.err.splitlines()) == 1
    assert shelf(door).ready == {}


def test_kept_answers_are_counted_and_forgotten(door: DoorInThread, majlis: Typed) -> None:
    told = majlis("cache", "stats").out
    assert "acme" in told and "other" in told and told.endswith("4 answers kept\n")
    assert (
        json.loads(majlis("cache", "stats", "--instance", "acme", "--json").out)["instances"][0]["entries"]
        == 3
    )
    assert majlis("cache", "clear", "--instance", "acme").out == "3 answers forgotten\n"
    assert majlis("cache", "clear").out == "1 answer forgotten\n"
    assert (
        "nothing was kept for acmee, see `majlis cache stats`" in majlis("cache", "clear", "-i", "acmee").out
    )
    assert [entry.target for entry in door.operations.audited] == ["acme", "all instances", "acmee"]
