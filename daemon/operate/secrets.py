"""The secrets of instances: which keys seal them, which of them stay shut, and sealing all of them with another key.

Nothing here shows a secret or a key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from daemon.config.door_tokens import LEAST_CHARS
from daemon.operate.call import AdminCall
from daemon.operate.checks import Check
from daemon.operate.former_webhooks import FormerWebhooks
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.tenants.secrets import Secrets
from daemon.web.http1 import Response, json_response

MAX_NAMED = 10


class SealingKey(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    """Names the key and says nothing about it."""
    secrets: int
    """How many it seals, of all daemons."""
    webhooks: int
    """And of the webhooks that stood at the gateways before `majlis instance connect`."""
    is_here: bool
    """Whether this daemon has it."""
    seals: bool
    """Whether this daemon seals with it now."""


class ShutSecret(msgspec.Struct, frozen=True, kw_only=True):
    """One that cannot be opened: its instance is held."""

    instance: str
    key: str
    """Of the setting."""
    why: str = ""


class ShutWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook of before `majlis instance connect` that cannot be opened, so not be given back. It holds nothing."""

    instance: str
    why: str


class SecretsPage(msgspec.Struct, frozen=True, kw_only=True):
    keys: list[SealingKey]
    shut: list[ShutSecret]
    shut_webhooks: list[ShutWebhook]


class SecretsRotated(msgspec.Struct, frozen=True, kw_only=True):
    """One step; it is asked for again until `resealed`, `shut` and `webhooks` are all empty."""

    key: str
    """The key that seals now, by its id."""
    resealed: int
    shut: list[ShutSecret]
    """Found in this step, and left as they are."""
    left: int
    """How many other keys seal still, those that cannot be opened among them."""
    webhooks: int
    """Webhooks of before `majlis instance connect` that were sealed anew."""
    shut_webhooks: list[ShutWebhook]
    """Those of them that cannot be opened: all, in each step."""


class RotateQuery(Parameters, frozen=True, kw_only=True):
    skip: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="How many secrets that cannot be opened were found in earlier steps.",
        ),
    ] = 0


class SealedSecrets:
    """Every method may raise `Unavailable`."""

    def __init__(self, secrets: Secrets, former: FormerWebhooks) -> None:
        self._secrets = secrets
        self._former = former

    async def page(self) -> SecretsPage:
        here, counted = await self._secrets.keys(), await self._secrets.by_key()
        webhooks = await self._former.by_key()
        keys = [
            SealingKey(
                id=name,
                secrets=counted.get(name, 0),
                webhooks=webhooks.get(name, 0),
                is_here=name in here,
                seals=here[:1] == (name,),
            )
            for name in dict.fromkeys((*here, *counted, *webhooks))
        ]
        return SecretsPage(keys=keys, shut=self.shut(), shut_webhooks=_named(await self._former.shut()))

    async def rotate(self, skip: int) -> SecretsRotated:
        """Raises: Conflict, there is no key to seal with."""
        step = await self._secrets.rotate(skip)
        shut = [ShutSecret(instance=instance, key=key) for instance, key in step.shut]
        former = await self._former.reseal()
        return SecretsRotated(
            key=step.key_id,
            resealed=step.resealed,
            shut=shut,
            left=step.left,
            webhooks=former.resealed,
            shut_webhooks=_named(former.shut),
        )

    def shut(self) -> list[ShutSecret]:
        return [
            ShutSecret(instance=instance, key=key, why=why)
            for instance, keys in sorted(self._secrets.shut().items())
            for key, why in sorted(keys.items())
        ]

    async def checks(self) -> list[Check]:
        """For `majlis doctor`; nothing where all is well."""
        return [*self._held(), *self._short(), *self._not_to_be_given_back(await self._former.shut())]

    def _held(self) -> Iterator[Check]:
        shut = self._secrets.shut()
        if not shut:
            return
        reasons = "; ".join(sorted({why for keys in shut.values() for why in keys.values()})[:MAX_NAMED])
        yield Check(
            name="secrets",
            state="problem",
            detail=f"held, because a secret of theirs cannot be opened: {_listed(shut)} ({reasons})",
            advice="Messages are kept meanwhile. `majlis secrets` names the keys and the settings.",
        )

    def _short(self) -> Iterator[Check]:
        if short := self._secrets.short():
            names = _listed({f"{instance} ({key})" for instance, key in short})
            yield Check(
                name="secrets",
                state="warning",
                detail=f"a token of fewer than {LEAST_CHARS} characters can be guessed: {names}",
                advice="Set a longer one, `majlis instance set NAME KEY=-`, and give it to the gateway.",
            )

    def _not_to_be_given_back(self, shut: Mapping[str, str]) -> Iterator[Check]:
        if shut:
            yield Check(
                name="secrets",
                state="warning",
                detail=f"cannot be given back to where their webhooks were before: {_listed(shut)}",
                advice="Give secrets.keys the key that sealed it: `majlis secrets` says which one, and why.",
            )


def _listed(names: Collection[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(sorted(names)[:MAX_NAMED])}{more}"


def _named(shut: Mapping[str, str]) -> list[ShutWebhook]:
    return [ShutWebhook(instance=instance, why=why) for instance, why in sorted(shut.items())]


async def _page(secrets: SealedSecrets, call: AdminCall, asked: Parameters) -> Response:
    """Which keys seal the secrets of instances, and which secrets cannot be opened."""
    return json_response(200, await secrets.page())


async def _rotate(secrets: SealedSecrets, call: AdminCall, asked: RotateQuery) -> Response:
    """Seal with the first key of secrets.keys some of what another key sealed, former webhooks as well."""
    if not asked.skip:
        await call.audit("secrets.rotate", "all instances")
    return json_response(200, await secrets.rotate(asked.skip))


ROUTES = (
    Route("GET", "/v1/secrets", SealedSecrets, _page, "read", SecretsPage),
    Route("POST", "/v1/secrets/rotate", SealedSecrets, _rotate, "admin", SecretsRotated, RotateQuery),
)
