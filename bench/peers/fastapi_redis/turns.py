"""The FastAPI peer of `make bench-turns`: the whole job in one process, from the webhook to the reply.

Written as a team that knows its libraries would write it: FastAPI on uvloop and httptools, redis.asyncio with scripts
sent by their hash, asyncpg's pool, aiohttp with kept connections to the model and fresh ones to the gateway, orjson. A
window is a task that sleeps. What it lacks beside Majlis stands in bench/README.md.

Environment: REDIS_SOCKET, POSTGRES_HOST (a folder), WORLD (the address of model and gateway), WINDOW_SECONDS, AT_ONCE.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
import redis.asyncio
from app import answer, parse
from fastapi import FastAPI, Request, Response

WORLD = os.environ["WORLD"]
WINDOW_SECONDS = float(os.environ["WINDOW_SECONDS"])
AT_ONCE = int(os.environ["AT_ONCE"])
MAX_MESSAGES = 5
TRIES = 3
SETTINGS_SECONDS = 30.0
HISTORY_LETTERS = 2400

# Store the message once by its id; the first of a window gives the window its number and its moment.
APPEND = """
if not redis.call('SET', KEYS[1], 1, 'NX', 'EX', 172800) then return {0, 0} end
local size = redis.call('RPUSH', KEYS[2], ARGV[1])
if size > 1 then return {size, tonumber(redis.call('GET', KEYS[3]) or '0')} end
redis.call('ZADD', 'due', ARGV[2], ARGV[3])
return {size, redis.call('INCR', KEYS[3])}
"""
# Take the window's messages out of the queue, once: a second call returns the same.
FREEZE = """
if redis.call('EXISTS', KEYS[2]) == 0 and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[2])
  redis.call('ZADD', 'inflight', 0, KEYS[2])
end
return redis.call('LRANGE', KEYS[2], 0, -1)
"""

_STATEMENTS = (Path(__file__).parent.parent / "turns_statements.sql").read_text()
SQL = dict(re.findall(r"-- name: (\w+)\n(.*?);", _STATEMENTS, re.DOTALL))

store = redis.asyncio.Redis(unix_socket_path=os.environ["REDIS_SOCKET"])
append, freeze = store.register_script(APPEND), store.register_script(FREEZE)
slots = asyncio.Semaphore(AT_ONCE)
open_windows: dict[str, asyncio.Event] = {}
tasks: set[asyncio.Task[None]] = set()
instances: dict[str, tuple[asyncpg.Record, float]] = {}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    fresh = aiohttp.TCPConnector(
        limit=100, force_close=True
    )  # a kept connection may be gone when a reply leaves
    async with (
        asyncpg.create_pool(
            host=os.environ["POSTGRES_HOST"], user="majlis", database="majlis", min_size=2, max_size=20
        ) as app.state.database,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as app.state.model,
        aiohttp.ClientSession(connector=fresh) as app.state.gateway,
    ):
        yield
    await store.aclose()


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/health/ready")
async def ready() -> Response:
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
    due = int((time.time() + WINDOW_SECONDS) * 1000)
    size, number = await append(
        keys=[f"seen:{instance}/{message['id']}", f"queue:{conversation}", f"number:{conversation}"],
        args=[orjson.dumps(message), due, conversation],
    )
    if size == 0:
        return answer("duplicate")
    if size == 1:
        full = open_windows[conversation] = asyncio.Event()
        task = asyncio.create_task(window(conversation, number, full))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    elif size >= MAX_MESSAGES and conversation in open_windows:
        open_windows[conversation].set()
    return answer("accepted")


async def window(conversation: str, number: int, full: asyncio.Event) -> None:
    """Wait until the window closes, then take the turn."""
    try:
        async with asyncio.timeout(WINDOW_SECONDS):
            await full.wait()
    except TimeoutError:
        pass
    open_windows.pop(conversation, None)
    async with slots:
        for tried in range(TRIES):
            try:
                await turn(conversation, number)
                break
            except Exception as error:
                sys.stderr.write(f"failed: {error!r}\n")
                await asyncio.sleep(2**tried)


async def turn(conversation: str, number: int) -> None:
    """Freeze the batch, store it, ask the model, store the answer, send it, store that it was sent."""
    pending = f"pending:{conversation}#{number}"
    batch = await freeze(keys=[f"queue:{conversation}", pending])
    if not batch:
        return
    messages = sorted(map(orjson.loads, batch), key=lambda message: message["sent_at"])
    name, phone = conversation.split("/")
    ids, texts = [message["id"] for message in messages], [message["text"] for message in messages]
    question = "\n".join(texts)
    text_hash = hashlib.sha256(question.encode()).hexdigest()
    database = app.state.database
    instance, opened = await asyncio.gather(
        instance_of(name),
        database.fetchrow(SQL["open_turn"], name, phone, texts, ids, f"{conversation}#{number}", text_hash),
    )
    turn_id, conversation_id, reply = opened["id"], opened["conversation_id"], opened["answer"]
    if opened["state"] == "done":
        return
    if opened["state"] == "started":
        answered, history, _hook, escalated, _tokens, _kept = await asyncio.gather(
            database.fetchval(SQL["was_answered"], conversation_id, text_hash, turn_id),
            database.fetch(SQL["history"], conversation_id, ids),
            database.fetchval(SQL["webhook"], instance["id"]),
            database.fetchval(SQL["escalation"], conversation_id),
            database.fetchval(SQL["usage"], instance["id"]),
            database.fetchval(SQL["kept_answer"], instance["id"], text_hash),
        )
        if answered or escalated:
            return
        reply, tokens_in, tokens_out = await ask(instance["system_prompt"], history, question)
        both = tokens_in + tokens_out
        await database.execute(
            SQL["store_answer"], turn_id, reply, tokens_in, tokens_out, instance["id"], both
        )
    gateway_id = await send(name, phone, reply)
    told = orjson.dumps({"turn": turn_id}).decode()
    await database.execute(
        SQL["end_turn"], turn_id, gateway_id, conversation_id, reply, instance["id"], phone, question, told
    )
    await store.pipeline().delete(pending).zrem("due", conversation).zrem("inflight", pending).execute()


async def instance_of(name: str) -> asyncpg.Record:
    """The instance's row, remembered for a while."""
    row, until = instances.get(name, (None, 0.0))
    if row is None or until < time.time():
        row = await app.state.database.fetchrow(SQL["instance"], name)
        instances[name] = row, time.time() + SETTINGS_SECONDS
    return row


async def ask(prompt: str | None, history: list[asyncpg.Record], question: str) -> tuple[str, int, int]:
    """The model's answer, and the tokens of the question and of the answer."""
    earlier: list[dict[str, str]] = []
    left = HISTORY_LETTERS
    for row in history:  # newest first
        if left <= 0:
            break
        earlier.append({"role": row["sender"], "content": row["content"][:left]})
        left -= len(row["content"])
    asked: dict[str, Any] = {
        "model": "test",
        "max_tokens": 1024,
        "messages": [
            {"role": "system", "content": prompt or "You help customers on WhatsApp."},
            *reversed(earlier),
            {"role": "user", "content": question},
        ],
    }
    headers = {"content-type": "application/json", "authorization": "Bearer key"}
    async with app.state.model.post(
        f"{WORLD}/v1/chat/completions", data=orjson.dumps(asked), headers=headers
    ) as response:
        response.raise_for_status()
        found = orjson.loads(await response.read())
    usage = found["usage"]
    return found["choices"][0]["message"]["content"], usage["prompt_tokens"], usage["completion_tokens"]


async def send(instance: str, phone: str, text: str) -> str:
    """Send the reply; returns the gateway's id of it."""
    body = orjson.dumps({"number": phone, "text": text, "linkPreview": False})
    headers = {"content-type": "application/json", "apikey": "key"}
    async with app.state.gateway.post(
        f"{WORLD}/message/sendText/{instance}", data=body, headers=headers
    ) as response:
        response.raise_for_status()
        return str(orjson.loads(await response.read())["key"]["id"])
