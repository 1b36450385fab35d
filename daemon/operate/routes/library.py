"""Routes of the instances' files and of the kept answers."""

from __future__ import annotations

from daemon.operate.call import Call, Desk
from daemon.operate.knowledge import ChunkPage, FileHead, FileNames, Ready
from daemon.operate.route import Stored
from daemon.web.http1 import Response, json_response

_NO_FILE = "a load is known by the number that its begin gave"


async def list_files(desk: Desk, call: Call) -> Response:
    """The files of an instance."""
    return json_response(200, await desk.operations.library.files(call.named["instance"]))


async def begin(desk: Desk, call: Call) -> Response:
    """Begin to add a file: its name, sha256 and bytes."""
    instance, head = call.named["instance"], call.body(FileHead)
    await desk.audit(call, "knowledge.add", f"{instance}: {head.name}")
    return json_response(200, await desk.operations.library.begin(instance, head))


async def put(desk: Desk, call: Call) -> Response:
    """Some chunks of a file that is being added: ordinal, heading and text of each."""
    page = call.body(ChunkPage)
    await desk.operations.library.put(call.named["instance"], call.id(_NO_FILE), page.chunks)
    return json_response(200, Stored(len(page.chunks)))


async def commit(desk: Desk, call: Call) -> Response:
    """All chunks are there: from now on the file is found."""
    instance, load, chunks = call.named["instance"], call.id(_NO_FILE), call.body(Ready).chunks
    # Who ends a load need not be who began it; what is put into it meanwhile is seen by nobody before this.
    await desk.audit(call, "knowledge.ready", f"{instance}: load {load}")
    ready = await desk.operations.library.commit(instance, load, chunks)
    await desk.operations.reload()
    return json_response(200, ready)


async def remove(desk: Desk, call: Call) -> Response:
    """Forget files by name."""
    instance, names = call.named["instance"], call.body(FileNames).names
    await desk.audit(call, "knowledge.remove", f"{instance}: {', '.join(names)}")
    removed = await desk.operations.library.remove(instance, names)
    await desk.operations.reload()
    return json_response(200, removed)


async def cache_stats(desk: Desk, call: Call) -> Response:
    """How many answers are kept, and how often they were given again. Query: instance."""
    return json_response(200, await desk.operations.library.cache_stats(call.instance))


async def cache_clear(desk: Desk, call: Call) -> Response:
    """Forget the kept answers. Query: instance."""
    await desk.audit(call, "cache.clear", call.instance or "all instances")
    return json_response(200, await desk.operations.library.cache_clear(call.instance))
