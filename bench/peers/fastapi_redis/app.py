"""The FastAPI + redis.asyncio peer: parse, dedupe and append by one script, acknowledge.

Written as a team that knows both would write it: orjson for bodies, one Lua script per webhook sent by its hash, a
connection pool, no model validation and no middleware on the path. Run by `uvicorn app:app` with uvloop and httptools;
`REDIS_SOCKET` names the Redis.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import redis.asyncio
from fastapi import FastAPI, Request, Response

WINDOW_MS = 3_600_000
SEEN_SECONDS = 48 * 3600
APPEND = """
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], 'NX', ARGV[3], ARGV[4])
return 1
"""

store = redis.asyncio.Redis(unix_socket_path=os.environ["REDIS_SOCKET"])
append = store.register_script(APPEND)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await store.ping()
    yield
    await store.aclose()


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)


def answer(status: str, code: int = 200) -> Response:
    return Response(orjson.dumps({"status": status}), code, media_type="application/json")


@app.get("/health/ready")
async def ready() -> Response:
    await store.ping()
    return answer("ready")


@app.post("/webhook/{instance}")
async def webhook(instance: str, request: Request) -> Response:
    try:
        message = parse(instance, orjson.loads(await request.body()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer("unreadable", 400)
    if message is None:
        return answer("ignored")
    conversation = f"{instance}/{message['contact']}"
    added = await append(
        keys=[f"seen:{instance}/{message['id']}", f"queue:{conversation}", "due"],
        args=[SEEN_SECONDS, orjson.dumps(message), int(time.time() * 1000) + WINDOW_MS, conversation],
    )
    return answer("accepted" if added else "duplicate")


def parse(instance: str, event: dict[str, Any]) -> dict[str, Any] | None:
    """The message to keep, or None for what is no message of a contact."""
    if event["event"] != "messages.upsert":
        return None
    data = event["data"]
    key = data["key"]
    jid = key["remoteJid"]
    if jid.endswith("@lid"):
        jid = key.get("remoteJidAlt") or key.get("senderPn") or jid
    user, _, server = jid.partition("@")
    text = data["message"].get("conversation")
    if key["fromMe"] or server not in ("s.whatsapp.net", "lid") or not text:
        return None
    return {
        "instance": instance,
        "contact": user.partition(":")[0],
        "id": key["id"],
        "text": text,
        "sent_at": data["messageTimestamp"],
        "push_name": data.get("pushName") or "",
    }
