"""The book of instances: which there are, what is set for each and by whom, and changing all of that."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from actors.errors import Conflict
from daemon.config.in_force import InForce
from daemon.config.load import MASK
from daemon.controls.live_settings import LiveSettings
from daemon.controls.pauses import PauseBoard
from daemon.forwarding.store import ForwardStore, Queue
from daemon.ledger.connections import ConnectedInstance, Connections
from daemon.operate import door_credentials
from daemon.operate.call import AdminCall, iso
from daemon.operate.connect_checks import shown_address
from daemon.operate.parameters import InstanceName, Parameters
from daemon.operate.route import Route
from daemon.operate.settings import shown
from daemon.operate.unanswered import Silencing
from daemon.tenants import Tenants
from daemon.tenants.history import Difference, exported
from daemon.tenants.keys import MAX_PROMPT_CHARS, KeyKind, canonical, is_key, name_problem, sends_away
from daemon.tenants.rows import Version, What
from daemon.tenants.tenants import Changed
from daemon.tenants.view import InstanceValues, spelled
from daemon.web.http1 import Response, json_response

MAX_VERSIONS = 1_000
MAX_KEYS = 200
"""In one change."""
MAX_TEXT_CHARS = MAX_PROMPT_CHARS
"""Of the longest value."""


class InstanceListed(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    mode: str
    active: bool
    version: int
    changed_at: str
    changed_by: str
    """`SQL`: it was found changed in the database."""
    origin: str
    """`declared` in config.yaml, or `stored` in the database alone."""
    gateway: str
    """Its kind."""
    has_prompt: bool
    held: str = ""
    """Why nothing is sent for it now; empty: it is not held."""
    last_message_at: str = ""
    """Of the latest ones; of one that was quiet for long, the day."""


class InstanceList(msgspec.Struct, frozen=True, kw_only=True):
    instances: list[InstanceListed]


Yes = Annotated[bool, Meta(description="Although nobody would answer then: see the reason `asks_first`.")]


class InstanceValue(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    value: str
    """As YAML would spell it; `****` for what is secret."""
    origin: str
    """`default`, the path of config.yaml, `majlis instance set, …`, `SQL, …`, `column whatsapp_….…`."""
    kind: KeyKind


class InstanceConnection(msgspec.Struct, frozen=True, kw_only=True):
    """What `majlis instance connect` set at its gateway; whether it still stands there, `majlis doctor` asks."""

    connected: bool
    url: str = ""
    """Where the gateway posts."""
    set_at: str = ""
    set_by: str = ""


class InstanceForwards(msgspec.Struct, frozen=True, kw_only=True):
    """Its webhooks that are forwarded to where they went before Majlis."""

    waiting: int = 0
    dead: int = 0


class InstancePage(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    version: int
    changed_at: str
    changed_by: str
    origin: str
    """`declared` in config.yaml, or `stored` in the database alone."""
    held: str = ""
    """Why nothing is sent for it now; empty: it is not held."""
    credentials: list[str]
    """What a webhook for it may show, by the keys of the settings: its own, and those for all; empty: none."""
    connection: InstanceConnection
    forwards: InstanceForwards
    values: list[InstanceValue]


class ValueChanged(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    before: str | None
    """None: it was not set. Of a secret, only whether it was set."""
    after: str | None


class InstanceVersion(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    at: str
    by: str
    """`SQL`: it was found changed in the database."""
    what: What
    why: str
    changes: list[ValueChanged]


class InstanceHistory(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    versions: list[InstanceVersion]
    """The latest first."""


class InstanceChanged(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    version: int
    changes: list[ValueChanged]
    """Empty: everything was so already, and there is no new version."""
    former: int = 0
    """Of one that was added: the version with what was set when an instance of this name was last there; 0: none."""


class InstanceChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    set: Annotated[
        dict[str, Any],
        Meta(max_length=MAX_KEYS, description="Values by key, as JSON, or as text that is read as YAML."),
    ] = {}
    unset: Annotated[
        list[str], Meta(max_length=MAX_KEYS, description="Keys that are not to be set any more.")
    ] = []
    why: Annotated[str, Meta(max_length=1_000, description="Kept with the version.")] = ""
    yes: Yes = False


class InstanceRemoval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    why: Annotated[str, Meta(max_length=1_000, description="Kept with the version.")] = ""
    yes: Yes = False


class OneBook(Parameters, frozen=True, kw_only=True):
    instance: InstanceName


class BookQuery(OneBook, frozen=True, kw_only=True):
    reveal: Annotated[
        bool, Meta(description="Show phone numbers. Needs level admin; the audit log records who asked.")
    ] = False


class HistoryQuery(BookQuery, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Maximum number of versions.")] = 20


class Restoring(OneBook, frozen=True, kw_only=True):
    version: (
        Annotated[
            int,
            Meta(
                ge=1, le=2**53, description="The version to be as again. Without it: the one before the last."
            ),
        ]
        | None
    ) = None
    yes: Yes = False


class InstanceBook:
    """Shows instances to operators, and changes them for them."""

    def __init__(
        self,
        tenants: Tenants,
        live: LiveSettings,
        pauses: PauseBoard,
        connections: Connections,
        forwards: ForwardStore,
        unanswered: Silencing,
    ) -> None:
        self._tenants = tenants
        self._live = live
        self._pauses = pauses
        self._connections = connections
        self._forwards = forwards
        self._unanswered = unanswered

    async def list(self) -> InstanceList:
        return InstanceList(
            instances=[
                InstanceListed(
                    instance=one.instance,
                    mode=self._live.terms(one.instance).mode,
                    active=one.active,
                    version=one.version,
                    changed_at=iso(one.made_at),
                    changed_by=one.made_by,
                    origin=self._origin(one.instance),
                    gateway=self._live.for_instance(one.instance).gateway.kind,
                    has_prompt=one.has_prompt,
                    held=self._pauses.held(one.instance),
                    last_message_at=iso(one.last_message_at) if one.last_message_at else "",
                )
                for one in await self._tenants.list()
            ]
        )

    async def page(self, name: str, reveal: bool) -> InstancePage:
        found: InstanceValues = await self._tenants.view(name)
        return InstancePage(
            instance=name,
            version=found.version.version,
            changed_at=iso(found.version.made_at),
            changed_by=found.version.made_by,
            origin=self._origin(name),
            held=self._pauses.held(name),
            credentials=door_credentials.for_instance(
                self._live.configured.ingress.auth, self._live.for_instance(name).ingress
            ),
            connection=_connection(await self._connections.of(name)),
            forwards=_forwards(await self._forwards.queues(name)),
            values=[
                InstanceValue(
                    key=one.key,
                    value=shown(InForce(one.key, one.value, one.origin), reveal),
                    origin=one.origin,
                    kind=one.kind,
                )
                for one in found.values
            ],
        )

    async def history(self, name: str, limit: int, reveal: bool) -> InstanceHistory:
        found = await self._tenants.history(name, limit)
        return InstanceHistory(
            instance=name, versions=[_version(version, changes, reveal) for version, changes in found]
        )

    # Recorded before anything is judged: what is refused is in the audit as well, as refused.

    async def add(self, call: AdminCall, name: str) -> InstanceChanged:
        body: InstanceChange = call.body
        await call.audit("instance.add", _target(name, body.set, body.unset))
        if body.unset:
            raise Conflict("A new instance has nothing that could be unset.")
        return _changed(await self._tenants.add(name, body.set, call.who, body.why))

    async def change(self, call: AdminCall, name: str) -> InstanceChanged:
        body: InstanceChange = call.body
        await call.audit("instance.set", _target(name, body.set, body.unset))
        if not body.set and not body.unset:
            raise Conflict(f"Name what to change: `majlis instance set {shlex.quote(name)} KEY=VALUE`.")
        _insist(call, map(canonical, (*body.set, *body.unset)))
        await self._unanswered.insist(name, body.set, body.yes)
        return _changed(await self._tenants.change(name, body.set, body.unset, call.who, body.why))

    async def remove(self, call: AdminCall, name: str) -> InstanceChanged:
        await call.audit("instance.remove", target_of(name))
        await self._unanswered.insist_on_removal(name, call.body.yes)
        done = await self._tenants.remove(name, call.who, call.body.why)
        await self._pauses.resume(name)  # what waited there is to end, visibly
        return _changed(done)

    async def restore(self, call: AdminCall, name: str, version: int | None, yes: bool) -> InstanceChanged:
        words = "the version before" if version is None else f"version {version}"
        await call.audit("instance.restore", f"{target_of(name)}, {words}")
        newest = await self._tenants.history(name, 2 if version is None else MAX_VERSIONS)
        then = [one for one, _ in newest[1:] if version in (None, one.version)]
        if then and then[0].state.there:
            await self._unanswered.insist(name, exported(then[0].state), yes)
        return _changed(await self._tenants.restore(name, version, call.who, allow=partial(_insist, call)))

    def _origin(self, name: str) -> str:
        return "declared" if name in self._live.configured.instances else "stored"


def _insist(call: AdminCall, keys: Iterable[str]) -> None:
    """Raises: Forbidden. Whoever may not see a key must not have it sent elsewhere, nor to where it was sent once."""
    if away := [key for key in keys if sends_away(key)]:
        call.insist("admin", f"{', '.join(away)}, a key or token, or where such and messages are sent,")


def _connection(found: ConnectedInstance | None) -> InstanceConnection:
    if found is None:
        return InstanceConnection(connected=False)
    return InstanceConnection(
        connected=True, url=shown_address(found.ours[0]), set_at=iso(found.set_at), set_by=found.set_by
    )


def _forwards(queues: Iterable[Queue]) -> InstanceForwards:
    found = list(queues)
    return InstanceForwards(
        waiting=sum(queue.waiting for queue in found), dead=sum(queue.dead for queue in found)
    )


def target_of(name: str) -> str:
    """An instance in the audit log; what cannot be a name may be anything."""
    return "instance (unfit name)" if name_problem(name) else f"instance {name}"


def _target(name: str, to_set: Iterable[str], to_unset: Iterable[str]) -> str:
    """Keys alone: a value may be a text, a number or a secret."""
    keys = [*map(_known, to_set), *(f"-{_known(key)}" for key in to_unset)]
    return f"{target_of(name)}, {', '.join(keys)}" if keys else target_of(name)


def _known(key: str) -> str:
    """A key that does not exist may be anything."""
    return canonical(key) if is_key(canonical(key)) else "(unknown key)"


def _changed(done: Changed) -> InstanceChanged:
    return InstanceChanged(
        instance=done.instance,
        version=done.version,
        changes=value_changes(done.differences),
        former=done.former,
    )


def _version(version: Version, changes: Sequence[Difference], reveal: bool) -> InstanceVersion:
    return InstanceVersion(
        version=version.version,
        at=iso(version.made_at),
        by=version.made_by,
        what=version.what,
        why=version.why,
        changes=_differences(changes, reveal),
    )


def value_changes(changes: Iterable[Difference]) -> list[ValueChanged]:
    """As everybody may see them."""
    return _differences(changes, reveal=False)


def _differences(changes: Iterable[Difference], reveal: bool) -> list[ValueChanged]:
    return [
        ValueChanged(
            key=one.key,
            before=_spelled(one, one.before, reveal),
            after=_spelled(one, one.after, reveal),
        )
        for one in changes
    ]


def _spelled(one: Difference, value: object, reveal: bool) -> str | None:
    if value is None:
        return None
    return MASK if one.secret else shown(InForce(one.key, spelled(value), ""), reveal)


async def _list(book: InstanceBook, call: AdminCall, asked: Parameters) -> Response:
    """Every instance: its mode, version, gateway, and when it was changed last."""
    return await call.answer(await book.list(), "instances")


async def _show(book: InstanceBook, call: AdminCall, asked: BookQuery) -> Response:
    """Every value in force for an instance, and where it comes from; secrets are always masked."""
    return await call.answer(await book.page(asked.instance, call.reveal), f"instance {asked.instance}")


async def _history(book: InstanceBook, call: AdminCall, asked: HistoryQuery) -> Response:
    """The versions of an instance: who changed what, when and why; the latest first."""
    found = await book.history(asked.instance, asked.limit, call.reveal)
    return await call.answer(found, f"history of instance {asked.instance}")


async def _add(book: InstanceBook, call: AdminCall, asked: OneBook) -> Response:
    """Add an instance, with all that is said of it, as one version."""
    return json_response(200, await book.add(call, asked.instance))


async def _change(book: InstanceBook, call: AdminCall, asked: OneBook) -> Response:
    """Set and unset values of an instance, all of them or none, as one version."""
    return json_response(200, await book.change(call, asked.instance))


async def _remove(book: InstanceBook, call: AdminCall, asked: OneBook) -> Response:
    """Take an instance out of use: inactive, its settings and secrets deleted; what was said there stays."""
    return json_response(200, await book.remove(call, asked.instance))


async def _restore(book: InstanceBook, call: AdminCall, asked: Restoring) -> Response:
    """Make a new version that is as an earlier one was; secrets stay as they are."""
    return json_response(200, await book.restore(call, asked.instance, asked.version, asked.yes))


_ONE = "/v1/instances/{instance}"
ROUTES = (
    Route("GET", "/v1/instances", InstanceBook, _list, "read", InstanceList),
    Route("GET", _ONE, InstanceBook, _show, "read", InstancePage, BookQuery),
    Route("GET", f"{_ONE}/history", InstanceBook, _history, "read", InstanceHistory, HistoryQuery),
    Route("POST", f"{_ONE}/add", InstanceBook, _add, "admin", InstanceChanged, OneBook, InstanceChange),
    Route("POST", f"{_ONE}/set", InstanceBook, _change, "operate", InstanceChanged, OneBook, InstanceChange),
    Route(
        "POST", f"{_ONE}/remove", InstanceBook, _remove, "admin", InstanceChanged, OneBook, InstanceRemoval
    ),
    Route("POST", f"{_ONE}/restore", InstanceBook, _restore, "operate", InstanceChanged, Restoring),
)
