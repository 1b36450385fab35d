"""`majlis knowledge`: files are added, listed and removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.knowledge import REQUEST_BYTES, requests, vectors_of
from daemon.knowledge.chunks import MAX_CHARS, Chunk
from daemon.knowledge.library import FileView
from tests.daemon.cli.conftest import Typed
from tests.support.operators import DoorInThread

PDF = Path(__file__).parents[1] / "knowledge" / "fixtures" / "prices_ar.pdf"


def test_a_file_says_whether_its_vectors_are_of_the_model_in_use() -> None:
    def told(model: str, other: bool) -> str:
        return vectors_of(FileView(name="", bytes=1, chunks=1, model=model, other_vectors=other, added_at=""))

    assert told("e5#1a2b3c4d", other=False) == "e5"
    assert told("e5", other=True) == "e5, not in use"
    assert told("", other=True) == told("", other=False) == "none"


def files(door: DoorInThread) -> list[str]:
    """Names of the files of acme that are found."""
    page = door.do(lambda: door.operators.library.files("acme"))
    return [file.name for file in page.files]


def loads(door: DoorInThread) -> list[str]:
    """Names of the files whose loads were begun, ended or not."""
    rows = door.do(lambda: door.operators.db.fetch("SELECT name FROM majlis_knowledge_files ORDER BY id"))
    return [row["name"] for row in rows]


def chunks_of(door: DoorInThread, name: str) -> list[dict[str, Any]]:
    sql = (
        "SELECT c.heading, c.text FROM majlis_knowledge_chunks c JOIN majlis_knowledge_files f ON f.id = c.file_id"
        " WHERE f.name = $1 ORDER BY c.ordinal"
    )
    return door.do(lambda: door.operators.db.fetch(sql, name))


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    path = tmp_path / "delivery.md"
    path.write_text("\n".join(f"# City {number}\n{number} SAR" for number in range(70)))
    return path


def test_files_are_added_in_several_requests_with_a_line_each(
    door: DoorInThread, majlis: Typed, delivery: Path
) -> None:
    done = majlis("knowledge", "add", "acme", str(PDF), str(delivery))
    assert (done.status, done.err) == (0, "")
    assert done.out == "prices_ar.pdf: added, 2 chunks\ndelivery.md: added, 70 chunks\n"
    assert [chunk["heading"] for chunk in chunks_of(door, "delivery.md")] == [f"City {n}" for n in range(70)]
    assert "عسل سدر جبلي ٥٠٠ غرام: ١٨٠ ريالا" in chunks_of(door, "prices_ar.pdf")[0]["text"]
    audited = [(entry.action, entry.target.rstrip("0123456789")) for entry in door.operators.audited]
    assert audited == [
        ("knowledge.add", "acme: prices_ar.pdf"),
        ("knowledge.ready", "acme: load "),
        ("knowledge.add", "acme: delivery.md"),
        ("knowledge.ready", "acme: load "),
    ]
    assert door.operators.forgotten == 2, "the daemon uses each file at once"


def test_adding_a_file_again_leaves_it_unchanged_or_replaces_it(
    door: DoorInThread, majlis: Typed, delivery: Path
) -> None:
    majlis("knowledge", "add", "acme", str(delivery))
    assert majlis("knowledge", "add", "acme", str(delivery)).out == "delivery.md: unchanged, 70 chunks\n"
    delivery.write_text("free")
    results = json.loads(majlis("knowledge", "add", "acme", str(delivery), "--json").out)
    assert results == [{"name": "delivery.md", "state": "replaced", "chunks": 1}]


def test_an_old_encoding_is_named_so_that_somebody_looks(
    door: DoorInThread, majlis: Typed, tmp_path: Path
) -> None:
    (tmp_path / "prices.txt").write_bytes("عسل سدر: 95 ريال".encode("cp1256"))
    done = majlis("knowledge", "add", "acme", str(tmp_path / "prices.txt"))
    assert done.out == "prices.txt: added, 1 chunk, read as windows-1256: check its letters\n"
    assert chunks_of(door, "prices.txt")[0]["text"] == "عسل سدر: 95 ريال"


def test_hidden_text_is_left_out_and_the_owner_is_told(
    door: DoorInThread, majlis: Typed, tmp_path: Path
) -> None:
    page = tmp_path / "faq.html"
    page.write_text(f"<p>Delivery?<p style='display:none'>{'a' * 1234}")
    told = "faq.html: added, 1 chunk, left out hidden text: 1,234 characters\n"
    assert majlis("knowledge", "add", "acme", str(page)).out == told
    [again] = json.loads(majlis("knowledge", "add", "acme", str(page), "--json").out)
    assert (again["state"], again["hidden_chars"]) == ("unchanged", 1234)


def test_files_are_listed_and_removed(door: DoorInThread, majlis: Typed, delivery: Path) -> None:
    assert majlis("knowledge", "list", "acme").out == "acme: 0 files\n"
    majlis("knowledge", "add", "acme", str(delivery))
    listed = majlis("knowledge", "list", "acme").out
    assert "delivery.md" in listed and "70" in listed and "none" in listed and "acme: 1 file" in listed
    assert json.loads(majlis("knowledge", "list", "acme", "--json").out)["files"][0]["chunks"] == 70
    done = majlis("knowledge", "remove", "acme", "delivery.md", "other.md")
    assert (done.status, done.out) == (1, "delivery.md: removed\n")
    assert done.err == "majlis: acme has no file called other.md; see `majlis knowledge list acme`\n"
    assert door.operators.audited[-1].target == "acme: delivery.md, other.md"


def test_all_files_are_parsed_before_the_first_is_stored(
    door: DoorInThread, majlis: Typed, delivery: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter.odt").write_bytes(b"PK")
    done = majlis("knowledge", "add", "acme", str(delivery), str(tmp_path / "letter.odt"))
    assert done.status == 1 and "save it as DOCX" in done.err and len(done.err.splitlines()) == 1
    assert loads(door) == []


def test_knowledge_failures_are_one_sentence(
    door: DoorInThread, majlis: Typed, delivery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    twin = tmp_path / "sub" / "delivery.md"
    twin.write_text("x")
    monkeypatch.setattr("daemon.knowledge.library.MAX_CHUNKS", 40)
    for arguments, words in (
        (("add", "nobody", str(delivery)), "has no instance 'nobody'"),
        (("list", "nobody"), "has no instance 'nobody'"),
        (("add", "acme", str(delivery)), "remove files that are not needed"),
        (("add", "acme", str(delivery), str(twin)), "two files are called delivery.md"),
        (("add", "acme", str(tmp_path / "no.txt")), "check its name"),
    ):
        done = majlis("knowledge", *arguments)
        assert done.status == 1 and done.out == "" and words in done.err and len(done.err.splitlines()) == 1
    assert files(door) == []


def test_no_request_is_larger_than_the_daemon_accepts() -> None:
    """Whatever the characters: their bytes are counted, not estimated."""
    for letter in ("a", "م", "😀", '"', "\n"):
        chunks = [Chunk(place, letter * 200, letter * MAX_CHARS) for place in range(100)]
        groups = list(requests(chunks))
        assert [chunk for request in groups for chunk in request] == chunks
        for request in groups:
            body = [{"ordinal": one.ordinal, "heading": one.heading, "text": one.text} for one in request]
            assert len(json.dumps({"chunks": body}, ensure_ascii=False).encode()) <= 64 * 1024
            assert len(request) <= 32
    assert REQUEST_BYTES < 64 * 1024
