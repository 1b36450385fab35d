"""A server that behaves like the Evolution API, with a simulated WhatsApp behind it.

`deliveries` is the oracle: what really reached a phone. `records` is the gateway's own database, which
may know less: a message can be delivered and yet not be recorded. Both outlive `down()` and `up()`.

`findMessages` is that of 2.2.3 to 2.4.0-rc2 (`fetchMessages` in channel.service and whatsapp.baileys.service).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import formatdate
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

import trio

from tests.support.http_faults import Exchange, FaultServer, Gate, Request
from tests.support.patience import PATIENCE_SECONDS

SendFault = Literal[
    "connection_closed",  # 400, socket down: not sent
    "not_on_whatsapp",  # 400, exists:false: not sent
    "instance_missing",  # 404: not sent
    "instance_not_loaded",  # 500, undefined 'textMessage': not sent
    "unauthorized",  # 401: not sent
    "never_connected",  # 500, undefined 'onWhatsApp': not sent
    "meta_error",  # 201 with Meta's error object, of code `code`: not sent
    "no_id_before_send",  # 201 without a key: not sent
    "no_id_after_send",  # 201 without a key: sent and recorded
    "licence_503",  # 503 LICENSE_REQUIRED: not sent
    "rate_limited",  # 429 with Retry-After: not sent
    "plain_503",  # a proxy's 503: not sent, but the client cannot know
    "redirect",  # 302 elsewhere: not sent
    "timeout_before_send",  # never answers: not sent
    "reset_before_send",  # connection reset: not sent
    "prisma_400_after_send",  # sent, not recorded
    "timeout_after_send",  # sent and recorded, never answers
    "reset_after_send",  # sent and recorded, connection reset
    "plain_502_after_send",  # sent and recorded, a proxy lost the response
    "garbage",  # sent and recorded, 200 with a body that is not JSON
    "slow",  # normal, after `seconds`
]
FindFault = Literal["find_500", "find_503", "find_garbage", "find_reset"]
SetupFault = Literal[
    "set_400",  # the schema refuses it: not set
    "set_500",  # the instance is not loaded: not set
    "set_reset_before",  # not set, connection reset
    "set_reset_after",  # set, connection reset
    "set_other",  # 201, and something else is stored
]
Fault = SendFault | FindFault | SetupFault
Channel = Literal["baileys", "business", "evolution"]
"""The kinds of instances, which differ in their ids and records."""
GatePoint = Literal["before_send", "after_send"]

EVENTS = (
    "APPLICATION_STARTUP",
    "QRCODE_UPDATED",
    "MESSAGES_SET",
    "MESSAGES_UPSERT",
    "MESSAGES_EDITED",
    "MESSAGES_UPDATE",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "SEND_MESSAGE_UPDATE",
    "CONTACTS_UPSERT",
    "PRESENCE_UPDATE",
    "CHATS_UPSERT",
    "CONNECTION_UPDATE",
    "CALL",
    "LOGOUT_INSTANCE",
    "STATUS_INSTANCE",
)
"""Some of those that an instance's webhook may have (`EventController.events`)."""
_AFTER_SEND = frozenset(
    {
        "prisma_400_after_send",
        "timeout_after_send",
        "reset_after_send",
        "plain_502_after_send",
        "garbage",
        "no_id_after_send",
    }
)


@dataclass(frozen=True)
class Delivery:
    """One message on a phone."""

    instance: str
    number: str
    text: str
    id: str
    at: float


@dataclass
class _Order:
    fault: Fault
    times: int
    when: Callable[[str], bool]
    seconds: float
    code: int


class FakeEvolution(FaultServer):
    """Args:
    api_key: the accepted key.
    instances: the existing ones; None means any.
    """

    def __init__(self, api_key: str = "gateway-key", instances: frozenset[str] | None = None) -> None:
        super().__init__()
        self.api_key = api_key
        self.instances = instances
        self.deliveries: list[Delivery] = []
        self.records: list[dict[str, object]] = []
        self.channel: Channel = "baileys"
        self.keeps_records = True
        self.webhook: dict[str, object] | None = {
            "id": "cmfyoow42000hov4xwkdug3lv",
            "url": "http://127.0.0.1:8080/webhook?apikey=secret",
            "headers": {"authorization": "Bearer secret"},
            "enabled": True,
            "events": [
                "MESSAGES_UPSERT",
                "MESSAGES_UPDATE",
                "MESSAGES_EDITED",
                "MESSAGES_DELETE",
                "SEND_MESSAGE",
            ],
            "webhookByEvents": False,
            "webhookBase64": False,
            "createdAt": "2026-07-26T18:13:30.262Z",
            "updatedAt": "2026-07-26T18:13:30.262Z",
            "instanceId": "628e74c4-f457-463e-a903-113e19b8e794",
        }
        """Of every instance without one of its own; None: it has none."""
        self.webhooks: dict[str, dict[str, object] | None] = {}
        """As they were set, by instance."""
        self.phones: dict[str, str] = {}
        """The state of each phone; those that are not in it are `open`."""
        self.codes: dict[str, str] = {}
        """What the QR codes of the phones that pair now say."""
        self.owner = ""
        """The number of every phone."""
        self.clock_skew_seconds = 0
        """How far its clock is ahead of ours: it dates what is sent through it, and the answers if `shows_date`. What
        others wrote bears the time that WhatsApp gave it."""
        self.shows_date = True
        self.ignores_time = False
        """Version 2.2.0 gives records of any time."""
        self.is_on_mysql = False
        """Its queries by key are made for Postgres."""
        self.finds: list[dict[str, Any]] = []
        """The body of every `findMessages`."""
        self.sends: list[str] = []
        """The text of every `sendText` request, whatever its outcome."""
        self.subscribed: set[tuple[str, str]] = set()
        """Instances and contacts: whose typing WhatsApp tells it."""
        self._orders: list[_Order] = []
        self._gates: list[tuple[GatePoint, Callable[[str], bool], Gate]] = []
        self._serial = 0

    def order(
        self,
        fault: Fault,
        times: int = 1,
        when: Callable[[str], bool] = lambda text: True,
        seconds: float = 1.0,
        code: int = 190,
    ) -> None:
        """Make the next `times` calls whose text satisfies `when` fail; orders apply in sequence."""
        with self.lock:
            self._orders.append(_Order(fault, times, when, seconds, code))

    def clear_orders(self) -> None:
        with self.lock:
            self._orders.clear()

    def gate(self, where: GatePoint, when: Callable[[str], bool] = lambda text: True) -> Gate:
        """Hold the next send whose text satisfies `when`, before it reaches the phone or before the response."""
        gate = Gate(self)
        with self.lock:
            self._gates.append((where, when, gate))
        return gate

    def texts(self, number: str | None = None) -> list[str]:
        """The delivered messages, in order, to `number` or to all."""
        with self.lock:
            return [sent.text for sent in self.deliveries if number is None or sent.number == number]

    def wait_for_deliveries(self, count: int, timeout_seconds: float = PATIENCE_SECONDS) -> list[Delivery]:
        self.wait_until(
            lambda: len(self.deliveries) >= count, f"{count} messages are delivered", timeout_seconds
        )
        with self.lock:
            return list(self.deliveries)

    def record(
        self, instance: str, number: str, text: str, *, from_me: bool, at: int, id: str = "", **more: object
    ) -> str:
        """Put an earlier message into the gateway's database, with these fields too; returns its id."""
        with self.lock:
            message_id = id or self._new_id()
            self._keep(instance, {**_record(number, text, message_id, at, from_me), **more})
        return message_id

    def last_own(self, instance: str) -> dict[str, int]:
        """Contact → the time of the last message of the business in the database."""
        last: dict[str, int] = {}
        with self.lock:
            for record in self.records:
                key, at = record["key"], int(str(record["messageTimestamp"]))
                if record["instanceName"] == instance and isinstance(key, dict) and key["fromMe"]:
                    contact = str(key["remoteJid"]).partition("@")[0]
                    last[contact] = max(last.get(contact, 0), at)
        return last

    def deliver(self, instance: str, number: str, text: str, recorded: bool) -> Delivery:
        with self.changed:
            new_id = str(uuid.uuid4()) if self.channel == "evolution" else self._new_id()
            sent = Delivery(instance, number.partition("@")[0], text, new_id, time.time())
            self.deliveries.append(sent)
            if recorded and self.keeps_records:
                self._keep(instance, self._record(number, text, sent))
            self.changed.notify_all()
        return sent

    def _keep(self, instance: str, entry: dict[str, object]) -> None:
        """Its own ids (cuid) grow from record to record. The status is kept, but never shown."""
        own_id = f"cmfyoow42{len(self.records):04d}ov4xwkdug3lv"
        self.records.append(
            {"id": own_id, "pushName": None, "MessageUpdate": [], **entry, "instanceName": instance}
        )

    def failed_update(self, sent: Delivery, status: str = "FAILED") -> dict[str, object]:
        """The webhook by which it says later that `sent` failed."""
        data = {
            "keyId": sent.id,
            "remoteJid": f"{sent.number}@s.whatsapp.net",
            "fromMe": self.channel == "baileys",
            "participant": f"{sent.number}@s.whatsapp.net",
            "status": status,
            "instanceId": "abb8e7b9",
            "messageId": "cmfyoow42000hov4xwkdug3lv",
        }
        return {"event": "messages.update", "instance": sent.instance, "data": data, "apikey": None}

    def _record(self, number: str, text: str, sent: Delivery) -> dict[str, object]:
        entry = _record(number, text, sent.id, int(sent.at + self.clock_skew_seconds), True)
        if self.channel == "evolution":  # the contact as it was addressed
            entry["key"] = {"remoteJid": number, "fromMe": True, "id": sent.id}
        return entry

    def _date(self) -> dict[str, str]:
        now = time.time() + self.clock_skew_seconds
        return {"date": formatdate(now, usegmt=True)} if self.shows_date else {}

    async def handle(self, request: Request, exchange: Exchange) -> None:
        route, _, instance = request.path.partition("?")[0].rpartition("/")
        instance = unquote(instance)
        if request.headers.get("apikey") != self.api_key:
            await _refuse(exchange, 401, "Unauthorized", "Unauthorized")
        elif request.method == "GET" and route == "/instance" and instance == "fetchInstances":
            await self._list(parse_qs(request.path.partition("?")[2])["instanceName"][0], exchange)
        elif self.instances is not None and instance not in self.instances:
            await _refuse(exchange, 404, "Not Found", [f'The "{instance}" instance does not exist'])
        elif request.method == "POST" and route == "/message/sendText":
            await self._send_text(instance, request.json(), exchange)
        elif request.method == "POST" and route == "/chat/findMessages":
            await self._find_messages(instance, request.json(), exchange)
        elif request.method == "GET" and route == "/instance/connectionState":
            said = {"instance": {"instanceName": instance, "state": self.phones.get(instance, "open")}}
            await exchange.answer_json(200, said, self._date())
        elif request.method == "GET" and route == "/webhook/find":
            await exchange.answer_json(200, self.webhook_of(instance))
        elif request.method == "POST" and route == "/webhook/set":
            await self._set_webhook(instance, request.json(), exchange)
        elif request.method == "GET" and route == "/instance/connect":
            await self._connect(instance, parse_qs(request.path.partition("?")[2]), exchange)
        else:
            await _refuse(exchange, 404, "Not Found", [f"Cannot {request.method} {request.path}"])

    def webhook_of(self, instance: str) -> dict[str, object] | None:
        return self.webhooks.get(instance, self.webhook)

    async def _set_webhook(self, instance: str, body: object, exchange: Exchange) -> None:
        """As its schema and `WebhookController.set` (2.3.6): what is not given stays as it was."""
        given = body.get("webhook") if isinstance(body, dict) else None
        order = self._take("", "set_")
        fault = order.fault if order is not None else ""
        if fault == "set_reset_before":
            exchange.reset()
            return
        if fault == "set_500":
            await _refuse(exchange, 500, "Internal Server Error", "Cannot read properties of undefined")
            return
        problem = "set_400" if fault == "set_400" else _misfit(given)
        if problem or not isinstance(given, dict):
            await _refuse(exchange, 400, "Bad Request", [[problem]])
            return
        fields = {"byEvents": "webhookByEvents", "base64": "webhookBase64"}
        new: dict[str, Any] = {fields.get(str(name)) or str(name): value for name, value in given.items()}
        new["events"] = (given.get("events") or list(EVENTS)) if given["enabled"] else []
        if fault == "set_other":
            new["url"] = "https://elsewhere.example/hook"
        with self.changed:
            known = self.webhook_of(instance) or {"id": "cmfyoow42000hov4xwkdug3lv", "headers": None}
            self.webhooks[instance] = {**known, **new}
            self.changed.notify_all()
        if fault == "set_reset_after":
            exchange.reset()
            return
        await exchange.answer_json(201, self.webhooks[instance])

    async def _connect(self, instance: str, asked: dict[str, list[str]], exchange: Exchange) -> None:
        """As `connectToWhatsapp`: a phone that is closed begins to pair."""
        if self.phones.get(instance, "open") == "open":
            await exchange.answer_json(200, {"instance": {"instanceName": instance, "state": "open"}})
            return
        self.phones[instance] = "connecting"
        code = self.codes.get(instance)
        typed = "WZYEH1YY" if "number" in asked else None
        said = {"pairingCode": typed, "code": code, "base64": "data:image/png;base64,", "count": 1}
        await exchange.answer_json(200, said if code else {"pairingCode": None, "count": 0})

    def event(self, instance: str, event: str, data: object) -> tuple[str, dict[str, str], bytes] | None:
        """Address, headers and body of the webhook by which it tells this; None: it tells nobody."""
        webhook: Any = self.webhook_of(instance)
        name = event.replace(".", "_").upper()
        if webhook is None or not webhook["enabled"] or name not in webhook["events"]:
            return None
        body = {"event": event, "instance": instance, "data": data, "apikey": None}
        return webhook["url"], webhook["headers"] or {}, json.dumps(body).encode()

    async def _list(self, instance: str, exchange: Exchange) -> None:
        with self.lock:
            recorded = sum(record["instanceName"] == instance for record in self.records)
        kinds = {"baileys": "WHATSAPP-BAILEYS", "business": "WHATSAPP-BUSINESS", "evolution": "EVOLUTION"}
        entry = {
            "id": "628e74c4-f457-463e-a903-113e19b8e794",
            "name": instance,
            "connectionStatus": "open",
            "integration": kinds[self.channel],
            "ownerJid": f"{self.owner}@s.whatsapp.net" if self.owner else None,
            "token": "an instance's secret",
            "_count": {"Message": recorded, "Contact": 0, "Chat": 0},
        }
        await exchange.answer_json(200, [entry])

    async def _send_text(self, instance: str, body: object, exchange: Exchange) -> None:
        assert isinstance(body, dict)
        for name in ("number", "text"):
            if not isinstance(body.get(name), str):
                message = [[f'instance requires property "{name}"']]
                await _refuse(exchange, 400, "Bad Request", message)
                return
        text = body["text"]
        with self.changed:
            self.sends.append(text)
            self.changed.notify_all()
        if body.get("delay"):
            self.subscribed.add((instance, body["number"]))
        await self._pass("before_send", text)
        order = self._take(text, "")
        fault = order.fault if order is not None else None
        if order is not None and fault == "slow":
            await trio.sleep(order.seconds)
            fault = None
        if fault is not None and fault not in _AFTER_SEND:
            await _fail(fault, exchange, order.code if order is not None else 0)
            return
        sent = self.deliver(instance, body["number"], text, recorded=fault != "prisma_400_after_send")
        await self._pass("after_send", text)
        if fault is not None:
            await _fail(fault, exchange)
            return
        record = self._record(body["number"], text, sent)
        await exchange.answer_json(201, {**record, "status": "PENDING", "pushName": "", "contextInfo": None})

    def typing(self, instance: str, contact: str, shown: str) -> tuple[str, dict[str, str], bytes] | None:
        """What it posts when a contact types: of those that it has subscribed to, and to whoever wants the event."""
        jid = contact if "@" in contact else f"{contact}@s.whatsapp.net"
        if (instance, contact) not in self.subscribed:
            return None
        # WhatsApp's `paused` arrives as this.
        shown = "available" if shown == "paused" else shown
        data = {"id": jid, "presences": {jid: {"lastKnownPresence": shown}}}
        return self.event(instance, "presence.update", data)

    async def _find_messages(self, instance: str, body: object, exchange: Exchange) -> None:
        assert isinstance(body, dict)
        order = self._take("", "find_")
        if order is not None:
            await _fail(order.fault, exchange)
            return
        where = body["where"]
        page, size = body.get("page") or 1, body.get("offset") or 50
        if problem := self._cannot_query(where):
            await _refuse(exchange, 500, "Internal Server Error", problem)
            return
        with self.lock:
            self.finds.append(body)
            found = [
                {name: value for name, value in record.items() if name != "instanceName"}
                for record in self.records
                if record["instanceName"] == instance and self._is_asked_for(record, where)
            ]
        if page % 2 == 0:  # within one second there is no order, and it may be another one for each page
            found.reverse()
        found.sort(key=lambda record: int(str(record["messageTimestamp"])), reverse=True)
        pages = -(-len(found) // size)
        shown = found[(page - 1) * size : page * size]
        answer = {"total": len(found), "pages": pages, "currentPage": page, "records": shown}
        await exchange.answer_json(200, {"messages": answer}, self._date())

    def _cannot_query(self, where: Mapping[str, Any]) -> str:
        """Why its database refuses the query; empty: it does not."""
        moments = [_seconds(moment) for moment in (where.get("messageTimestamp") or {}).values()]
        if max(moments, default=0) >= 2**31 and not self.ignores_time:
            return f"Unable to fit integer value '{max(moments)}' into an INT4 (32-bit signed integer)."
        if self.is_on_mysql and any((where.get("key") or {}).values()):
            return "Argument `path`: Invalid value provided. Expected String, provided (String)."
        return ""

    def _is_asked_for(self, record: Mapping[str, object], where: Mapping[str, Any]) -> bool:
        """As its query does it: a filter that is false, or half of a range, is none."""
        key, asked = record["key"], where.get("key") or {}
        key = key if isinstance(key, dict) else {}
        if any(asked.get(name) and asked[name] != key.get(name) for name in ("remoteJid", "id", "fromMe")):
            return False
        moment = where.get("messageTimestamp") or {}
        if self.ignores_time or not (moment.get("gte") and moment.get("lte")):
            return True
        return _seconds(moment["gte"]) <= int(str(record["messageTimestamp"])) <= _seconds(moment["lte"])

    def _take(self, text: str, kind: str) -> _Order | None:
        """`kind`: how the faults of that route begin; empty: those of sends."""
        with self.lock:
            for order in self._orders:
                of_kind = order.fault.startswith(kind or ("find_", "set_")) == bool(kind)
                if order.times and of_kind and order.when(text):
                    order.times -= 1
                    return order
        return None

    async def _pass(self, where: GatePoint, text: str) -> None:
        with self.lock:
            meant = next((entry for entry in self._gates if entry[0] == where and entry[1](text)), None)
            if meant is not None:
                self._gates.remove(meant)
        if meant is not None:
            await meant[2].pass_through()

    def _new_id(self) -> str:
        self._serial += 1
        return f"3EB0{self._serial:018X}"


def _misfit(webhook: object) -> str:
    """What its JSON schema says of it; empty: it is taken."""
    if not isinstance(webhook, dict):
        return 'instance requires property "webhook"'
    for name, kind in (("enabled", bool), ("url", str)):
        if not isinstance(webhook.get(name), kind):
            return f'webhook requires property "{name}"'
    if not isinstance(webhook.get("headers", {}), dict):
        return "webhook.headers is not of a type(s) object"
    if wrong := [event for event in webhook.get("events", ()) if event not in EVENTS]:
        return f"webhook.events[0] is not one of enum values: {wrong[0]}"
    return ""


def _record(number: str, text: str, message_id: str, at: int, from_me: bool) -> dict[str, object]:
    jid = number if "@" in number else f"{number}@s.whatsapp.net"
    return {
        "key": {"remoteJid": jid, "fromMe": from_me, "id": message_id},
        "message": {"conversation": text},
        "messageType": "conversation",
        "messageTimestamp": at,
        "instanceId": "628e74c4-f457-463e-a903-113e19b8e794",
        "source": "web",
    }


def _seconds(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp())


def meta_error(code: int) -> dict[str, object]:
    """Meta's error object, as the WHATSAPP-BUSINESS channel hands it on."""
    return {
        "message": f"(#{code}) said Meta",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "…"},
        "fbtrace_id": "AbCdEf",
    }


async def _refuse(exchange: Exchange, status: int, error: str, message: object) -> None:
    await exchange.answer_json(status, {"status": status, "error": error, "response": {"message": message}})


_PRISMA = (
    "PrismaClientKnownRequestError: \nInvalid `this.prismaRepository.message.create()` invocation in\n"
    "/evolution/dist/main.js:1:1\n\nCan't reach database server at `postgres:5432`"
)
_NOT_LOADED = "Cannot read properties of undefined (reading 'textMessage')"
_NEVER_CONNECTED = "Cannot read properties of undefined (reading 'onWhatsApp')"
_LICENCE = {
    "error": "service not activated",
    "code": "LICENSE_REQUIRED",
    "register_url": "https://example.org",
}


async def _fail(fault: Fault, exchange: Exchange, code: int = 0) -> None:  # noqa: PLR0912 - one branch per fault
    match fault:
        case "connection_closed":
            await _refuse(exchange, 400, "Bad Request", ["Error: Connection Closed"])
        case "not_on_whatsapp":
            unknown = {"jid": "0@s.whatsapp.net", "exists": False, "number": "0"}
            await _refuse(exchange, 400, "Bad Request", [unknown])
        case "instance_missing":
            await _refuse(exchange, 404, "Not Found", ['The "x" instance does not exist'])
        case "instance_not_loaded":
            await _refuse(exchange, 500, "Internal Server Error", _NOT_LOADED)
        case "never_connected":
            await _refuse(exchange, 500, "Internal Server Error", _NEVER_CONNECTED)
        case "meta_error":
            await exchange.answer_json(201, meta_error(code))
        case "no_id_before_send" | "no_id_after_send":
            await exchange.answer_json(201, {"status": "PENDING"})
        case "unauthorized":
            await _refuse(exchange, 401, "Unauthorized", "Unauthorized")
        case "licence_503":
            await exchange.answer_json(503, _LICENCE)
        case "rate_limited":
            await exchange.answer(429, b"slow down", {"retry-after": "7"})
        case "find_500":
            await _refuse(exchange, 500, "Internal Server Error", "Internal Server Error")
        case "plain_503" | "find_503":
            await exchange.answer(503, b"<html>Service Unavailable</html>")
        case "plain_502_after_send":
            await exchange.answer(502, b"<html>Bad Gateway</html>")
        case "redirect":
            await exchange.answer(302, b"", {"location": "http://169.254.169.254/latest/meta-data"})
        case "prisma_400_after_send":
            await _refuse(exchange, 400, "Bad Request", [_PRISMA])
        case "garbage" | "find_garbage":
            await exchange.answer(200, b"<html>hello")
        case "timeout_before_send" | "timeout_after_send":
            await exchange.hang()
        case "reset_before_send" | "reset_after_send" | "find_reset":
            exchange.reset()
        case "slow":
            raise AssertionError("slow is no failure")
