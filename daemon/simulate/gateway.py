"""The simulated gateway: accepts replies as Evolution 2.3.7 does, and can list what it sent.

Rules of this file:
1. A reply is recorded before the request is answered: a daemon that is killed at that moment finds it in the records.
2. A reply to anyone outside the rehearsal is refused in a way that makes the daemon keep it: a simulator in place of a
   real gateway must not swallow replies to real people.
3. Records are bounded to the last ones of each customer, which include every one a daemon may still ask for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
import trio

from daemon.simulate.books import Books
from daemon.simulate.tokens import contact_of, customer_of
from daemon.web.http1 import Request, Response, json_response

MAX_RECORDS = 10
_JID = "@s.whatsapp.net"


class _Record(NamedTuple):
    id: str
    text: str
    sent_at: int


class GatewaySide:
    """The HTTP side of the simulated gateway; `handle` serves the daemon.

    Args:
      customers: how many there are, numbered from 0.
      answering: awaited while a reply to the given customer is being sent.
    """

    def __init__(
        self, instance: str, customers: int, books: Books, answering: Callable[[int], Awaitable[None]]
    ) -> None:
        self.strangers = 0
        self._instance = instance
        self._customers = customers
        self._books = books
        self._answering = answering
        self._records: dict[int, deque[_Record]] = {}
        self._serial = 0

    async def handle(self, request: Request) -> Response:
        match request.method, request.segments:
            case "POST", ("message", "sendText", instance) if instance == self._instance:
                return await self._send_text(request.body)
            case "POST", ("chat", "findMessages", instance) if instance == self._instance:
                return self._find_messages(request.body)
            case "GET", ("instance", "connectionState", instance) if instance == self._instance:
                return json_response(200, {"instance": {"instanceName": instance, "state": "open"}})
            case _, (("message" | "chat" | "instance"), _, instance) if instance != self._instance:
                self.strangers += request.segments[1] == "sendText"
                return _refusal(404, "Not Found", [f'The "{instance}" instance does not exist'])
            case _:
                return _refusal(404, "Not Found", [f"Cannot {request.method} {request.path}"])

    async def _send_text(self, body: bytes) -> Response:
        sent = _object(body)
        number, text = sent.get("number"), sent.get("text")
        if not isinstance(number, str) or not isinstance(text, str):
            return _refusal(400, "Bad Request", [['instance requires property "number" and "text"']])
        customer = customer_of(number)
        if customer is None or customer >= self._customers:
            self.strangers += 1
            return _refusal(400, "Bad Request", ["Error: Connection Closed"])
        self._books.reply(customer, text, trio.current_time())
        self._serial += 1
        record = _Record(f"3EB0{self._serial:018X}", text, int(time.time()))
        self._records.setdefault(customer, deque(maxlen=MAX_RECORDS)).append(record)
        await self._answering(customer)
        document = _document(customer, record)
        return json_response(201, {**document, "status": "PENDING", "pushName": "", "contextInfo": None})

    def _find_messages(self, body: bytes) -> Response:
        asked = _object(body)
        where = asked.get("where")
        key = where.get("key") if isinstance(where, dict) else None
        jid = key.get("remoteJid") if isinstance(key, dict) else None
        customer = customer_of(jid) if isinstance(jid, str) else None
        found = (
            [_document(customer, record) for record in self._records.get(customer, ())]
            if customer is not None
            else []
        )
        found.reverse()
        page = asked.get("page", 1)
        records = found if page == 1 else []
        answer = {"total": len(found), "pages": 1, "currentPage": page, "records": records}
        return json_response(200, {"messages": answer})


def _document(customer: int, record: _Record) -> dict[str, object]:
    return {
        "key": {"remoteJid": f"{contact_of(customer)}{_JID}", "fromMe": True, "id": record.id},
        "message": {"conversation": record.text},
        "messageType": "conversation",
        "messageTimestamp": record.sent_at,
        "instanceId": "628e74c4-f457-463e-a903-113e19b8e794",
        "source": "web",
    }


def _object(body: bytes) -> dict[str, object]:
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _refusal(status: int, error: str, message: object) -> Response:
    return json_response(status, {"status": status, "error": error, "response": {"message": message}})
