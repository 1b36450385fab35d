"""`majlis knowledge`: the files that an instance's answers may use.

Files are parsed and split into chunks by a child of this process, not in the daemon: a large PDF costs seconds of
processor time, and one that was made to do harm costs more than there is.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from daemon.cli.client import (
    INTERRUPTED,
    AdminClient,
    ConfigOption,
    Failure,
    JsonOption,
    SetOption,
    client_of,
    view,
)
from daemon.cli.render import cell, count, display, moment, print_json, table
from daemon.knowledge.chunks import Chunk
from daemon.knowledge.library import Begun, FilePage, FileView, Ready, Removed
from daemon.knowledge.readers import ReadFile, UnreadableFile
from daemon.knowledge.reading import read

REQUEST_CHUNKS = 32
"""Maximum number of chunks in one request, so that it ends within seconds even when each needs an embedding."""
REQUEST_BYTES = 48 * 1024
"""Maximum size of one request: the daemon refuses more than 64 KiB."""

Results = dict[str, dict[str, object]]
"""The outcome of each file by its name; empty for the file in progress."""

InstanceArgument = Annotated[str, typer.Argument(metavar="INSTANCE", help="The name of the instance.")]


def add(
    instance: InstanceArgument,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="Text, CSV, Markdown, HTML, PDF, DOCX or XLSX files."),
    ],
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Add files to an instance's knowledge, or replace those of the same name.

    All files are parsed before the first is stored. Answers use a file as soon as it is stored completely.

    Example: majlis knowledge add acme prices.pdf delivery.md
    """
    client = client_of(config, set_)
    results: Results = {}
    try:
        _add_all(client, instance, files, results, quiet=json)
    except KeyboardInterrupt:
        raise Failure(_interrupted(instance, files, results), INTERRUPTED) from None
    if json:
        print_json(list(results.values()))


def _add_all(
    client: AdminClient, instance: str, files: Sequence[Path], results: Results, quiet: bool
) -> None:
    """Fills `results` file by file, because an interrupt may come at any moment."""
    readable = [_readable(path) for path in files]
    twice = [name for name, times in Counter(file.name for file in readable).items() if times > 1]
    if twice:
        raise Failure(f"two files are called {twice[0]}: names must be unique, so rename one of them")
    with _progress() as progress:
        for file in readable:
            results[file.name] = {}
            results[file.name] = done = _add(client, instance, file, progress)
            if not quiet:
                line = cell(f"{file.name}: {_outcome(done)}")
                display(line) if progress.disable else progress.console.print(line)


def _interrupted(instance: str, files: Sequence[Path], results: Results) -> str:
    if not results:
        return "interrupted: nothing is stored"
    groups = {
        "stored": [name for name, done in results.items() if done],
        # The last request may have reached the daemon or not.
        f"in progress (check with `majlis knowledge list {shlex.quote(instance)}`)": [
            name for name, done in results.items() if not done
        ],
        "not stored": [path.name for path in files if path.name not in results],
    }
    summary = "; ".join(f"{what}: {', '.join(names)}" for what, names in groups.items() if names)
    return f"interrupted: {summary}. Run the command again: files already stored are left unchanged"


def list_files(
    instance: InstanceArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """List an instance's knowledge files.

    Example: majlis knowledge list acme
    """
    document = client_of(config, set_).get(_path(instance))
    if json:
        print_json(document)
        return
    page = view(document, FilePage)
    if page.files:
        shown = table(
            "file", "chunks", "bytes", "vectors", "added (UTC)", right=("chunks", "bytes"), folding=("file",)
        )
        for file in page.files:
            cells = (
                file.name,
                f"{file.chunks:,}",
                f"{file.bytes:,}",
                vectors_of(file),
                moment(file.added_at),
            )
            shown.add_row(*(cell(item) for item in cells))
        display(shown)
    if others := [file.name for file in page.files if file.other_vectors]:
        words = f"{count(len(others), 'file')} without vectors of the model in use: found by words alone; add again"
        display(cell(words))
    display(cell(f"{page.instance}: {count(len(page.files), 'file')}", "dim"))


def vectors_of(file: FileView) -> str:
    """The model's name alone: what follows it tells its prefixes."""
    model = file.model.partition("#")[0] or "none"
    return f"{model}, not in use" if file.model and file.other_vectors else model


def remove(
    instance: InstanceArgument,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME…", help="File names, as in `majlis knowledge list`.")
    ],
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Remove files from an instance's knowledge.

    Example: majlis knowledge remove acme prices.pdf
    """
    document = client_of(config, set_).post(f"{_path(instance)}/remove", body={"names": names})
    removed = view(document, Removed)
    if json:
        print_json(document)
    else:
        for name in removed.removed:
            display(cell(f"{name}: removed"))
    if removed.missing:
        missing = ", ".join(removed.missing)
        raise Failure(
            f"{instance} has no file called {missing}; see `majlis knowledge list {shlex.quote(instance)}`"
        )


def _readable(path: Path) -> ReadFile:
    try:
        return read(path)
    except UnreadableFile as error:
        raise Failure(f"{path} {error}") from None


def _add(client: AdminClient, instance: str, file: ReadFile, progress: Progress) -> dict[str, object]:
    head = {"name": file.name, "sha256": file.sha256, "bytes": file.bytes}
    begun = view(client.post(f"{_path(instance)}/files", body=head), Begun)
    result: dict[str, object] = {"name": file.name, "state": begun.state, "chunks": begun.chunks}
    if file.encoding:
        result["encoding"] = file.encoding
    if file.hidden_chars:
        result["hidden_chars"] = file.hidden_chars
    if begun.state == "unchanged":
        return result
    load = f"{_path(instance)}/files/{begun.file}"
    bar = progress.add_task(file.name, total=len(file.chunks))
    for request in requests(file.chunks):
        chunks = [{"ordinal": one.ordinal, "heading": one.heading, "text": one.text} for one in request]
        client.post(f"{load}/chunks", body={"chunks": chunks})
        progress.advance(bar, len(request))
    ready = view(client.post(f"{load}/ready", body={"chunks": len(file.chunks)}), Ready)
    progress.remove_task(bar)
    return {**result, "state": "replaced" if ready.replaced else "added", "chunks": ready.chunks}


def requests(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """The chunks in groups that each fit into one request."""
    request: list[Chunk] = []
    left = REQUEST_BYTES
    for chunk in chunks:
        size = len(msgspec.json.encode((chunk.ordinal, chunk.heading, chunk.text))) + 40
        if request and (len(request) == REQUEST_CHUNKS or size > left):
            yield request
            request, left = [], REQUEST_BYTES
        request.append(chunk)
        left -= size
    if request:
        yield request


def _outcome(done: dict[str, object]) -> str:
    chunks = done["chunks"]
    assert isinstance(chunks, int)
    written = f", read as {done['encoding']}: check its letters" if "encoding" in done else ""
    hidden = f", left out hidden text: {done['hidden_chars']:,} characters" if "hidden_chars" in done else ""
    return f"{done['state']}, {count(chunks, 'chunk')}{written}{hidden}"


def _progress() -> Progress:
    """A progress bar on a terminal; into a pipe only the line for each file is written."""
    console = Console(file=sys.stdout, highlight=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _path(instance: str) -> str:
    return f"/v1/knowledge/{quote(instance, safe='')}"
