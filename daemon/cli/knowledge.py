"""The files of an instance, and the answers that are kept.

Files are read and cut here, not in the daemon: a large PDF takes seconds of a processor that has customers to answer.
"""

from __future__ import annotations

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

from daemon.cli.client import AdminClient, view
from daemon.cli.failure import INTERRUPTED, Failure
from daemon.cli.options import ConfigOption, JsonOption, SetOption, client_of
from daemon.cli.render import cell, count, display, moment, print_json, table
from daemon.knowledge.chunks import Chunk
from daemon.knowledge.library import Begun, CacheStats, Cleared, FilePage, Ready, Removed
from daemon.knowledge.readers import ReadFile, UnreadableFile, read

PORTION = 32
"""Chunks of one request: some seconds at most, also where each needs a vector."""
PORTION_BYTES = 48 * 1024
"""The same in bytes: the daemon takes no request of more than 64 KiB."""

Told = dict[str, dict[str, object]]
"""By the file's name, what became of it; nothing yet of the one under way."""

InstanceArgument = Annotated[
    str, typer.Argument(metavar="INSTANCE", help="Whose files: the name of the instance.")
]
InstanceOption = Annotated[
    str | None, typer.Option("--instance", "-i", metavar="NAME", help="Of one instance alone.")
]


def add(
    instance: InstanceArgument,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Text, Markdown, HTML or PDF.")],
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Add files to what an instance knows. A file of the same name is replaced.

    All are read before the first is added. Each is found as soon as it is there, and not a moment before.

    Example: majlis knowledge add acme prices.pdf delivery.md
    """
    client = client_of(config, set_)
    told: Told = {}
    try:
        _add_all(client, instance, files, told, quiet=json)
    except KeyboardInterrupt:
        raise Failure(_what_is_stored(instance, files, told), INTERRUPTED) from None
    if json:
        print_json(list(told.values()))


def _add_all(client: AdminClient, instance: str, files: Sequence[Path], told: Told, quiet: bool) -> None:
    """Fills `told` on its way, for an interrupt may come at any moment."""
    readable = [_readable(path) for path in files]
    twice = [name for name, times in Counter(file.name for file in readable).items() if times > 1]
    if twice:
        raise Failure(f"two files are called {twice[0]}: a file is known by its name, rename one of them")
    with _progress() as progress:
        for file in readable:
            told[file.name] = {}
            told[file.name] = done = _add(client, instance, file, progress)
            if not quiet:
                said = cell(f"{file.name}: {_outcome(done)}")
                display(said) if progress.disable else progress.console.print(said)


def _what_is_stored(instance: str, files: Sequence[Path], told: Told) -> str:
    """Of the file under way nobody here knows whether its last step was done."""
    if not told:
        return "interrupted: nothing is stored"
    groups = {
        "stored": [name for name, done in told.items() if done],
        f"under way, see `majlis knowledge list {instance}`": [
            name for name, done in told.items() if not done
        ],
        "not stored": [path.name for path in files if path.name not in told],
    }
    said = "; ".join(f"{', '.join(names)} {what}" for what, names in groups.items() if names)
    return f"interrupted: {said}. Add them again: what is there already stays as it is"


def list_files(
    instance: InstanceArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """The files of an instance.

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
                file.model or "none",
                moment(file.added_at),
            )
            shown.add_row(*(cell(item) for item in cells))
        display(shown)
    display(cell(f"{count(len(page.files), 'file')} of {page.instance}", "dim"))


def remove(
    instance: InstanceArgument,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME…", help="As `majlis knowledge list` tells them.")
    ],
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Forget files of an instance.

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
        raise Failure(f"{instance} has no file called {missing}; see `majlis knowledge list {instance}`")


def cache_stats(
    instance: InstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """How many answers are kept, and how often they were given again.

    Example: majlis cache stats --instance acme
    """
    document = client_of(config, set_).get("/v1/cache", {"instance": instance})
    if json:
        print_json(document)
        return
    stats = view(document, CacheStats)
    if stats.instances:
        numbers = ("entries", "with vectors", "hits")
        shown = table("instance", *numbers, "oldest (UTC)", right=numbers)
        for row in stats.instances:
            figures = (f"{row.entries:,}", f"{row.with_vectors:,}", f"{row.hits:,}")
            shown.add_row(*(cell(item) for item in (row.instance, *figures, moment(row.oldest_at))))
        display(shown)
    entries = sum(row.entries for row in stats.instances)
    display(cell(f"{count(entries, 'answer')} kept", "dim"))


def cache_clear(
    instance: InstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Forget the kept answers; the next questions are asked anew.

    Example: majlis cache clear --instance acme
    """
    document = client_of(config, set_).post("/v1/cache/clear", {"instance": instance})
    if json:
        print_json(document)
        return
    entries = view(document, Cleared).entries
    nothing = (
        f": nothing was kept for {instance}, see `majlis cache stats`" if instance and not entries else ""
    )
    display(cell(f"{count(entries, 'answer')} forgotten{nothing}"))


def _readable(path: Path) -> ReadFile:
    try:
        return read(path)
    except UnreadableFile as error:
        raise Failure(f"{path} {error}") from None


def _add(client: AdminClient, instance: str, file: ReadFile, progress: Progress) -> dict[str, object]:
    head = {"name": file.name, "sha256": file.sha256, "bytes": file.bytes}
    begun = view(client.post(f"{_path(instance)}/files", body=head), Begun)
    told: dict[str, object] = {"name": file.name, "state": begun.state, "chunks": begun.chunks}
    if begun.state == "unchanged":
        return told
    load = f"{_path(instance)}/files/{begun.file}"
    bar = progress.add_task(file.name, total=len(file.chunks))
    for portion in portions(file.chunks):
        chunks = [{"ordinal": part.ordinal, "heading": part.heading, "text": part.text} for part in portion]
        client.post(f"{load}/chunks", body={"chunks": chunks})
        progress.advance(bar, len(portion))
    ready = view(client.post(f"{load}/ready", body={"chunks": len(file.chunks)}), Ready)
    progress.remove_task(bar)
    return {**told, "state": "replaced" if ready.replaced else "added", "chunks": ready.chunks}


def portions(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """As many chunks as fit into one request."""
    portion: list[Chunk] = []
    left = PORTION_BYTES
    for chunk in chunks:
        size = len(msgspec.json.encode((chunk.ordinal, chunk.heading, chunk.text))) + 40
        if portion and (len(portion) == PORTION or size > left):
            yield portion
            portion, left = [], PORTION_BYTES
        portion.append(chunk)
        left -= size
    if portion:
        yield portion


def _outcome(done: dict[str, object]) -> str:
    chunks = done["chunks"]
    assert isinstance(chunks, int)
    return f"{done['state']}, {count(chunks, 'chunk')}"


def _progress() -> Progress:
    """A bar on the terminal; nothing of it goes into a pipe, where one line for each file is all."""
    console = Console(file=sys.stdout, highlight=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _path(instance: str) -> str:
    return f"/v1/knowledge/{quote(instance, safe='')}"
