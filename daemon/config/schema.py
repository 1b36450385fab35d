"""Every setting, its type, its bounds and its default. Parsed once at start, frozen afterwards.

Laws of this file:
- A key's name carries its unit (`_seconds`, `_bytes`); a key without one is a plain count or a name.
- Every default stands here and nowhere else; `config.yaml` explains the same ones (a test compares them).
- Keys, tokens and addresses that may carry a password are `SecretStr`: no repr and no error shows them.
- What one value must be is said here; how values must fit together is said in `relations.py`.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from actors.identity import MAX_INSTANCE_CHARS
from actors.messages import WindowPolicy
from daemon.config.sources import Raw
from daemon.http1 import split_address

EMBEDDED = "embedded"


def _number(value: object) -> object:
    """Numbers of the environment and --set come as `Raw`: text keeps the spelling, numbers the value."""
    return value.parsed if isinstance(value, Raw) else value


def _section(value: object) -> object:
    """A section whose keys are all commented out reads as null in YAML: that means its defaults."""
    return {} if value is None else value


def _one_or_two(value: object) -> object:
    return [value] if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_number), Field(gt=0, strict=True, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, BeforeValidator(_number), Field(ge=0, strict=True, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=1, strict=True)]
CountOrZero = Annotated[int, BeforeValidator(_number), Field(ge=0, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_INSTANCE_CHARS)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Tokens = Annotated[tuple[Secret, ...], Field(min_length=1, max_length=2)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


SectionT = TypeVar("SectionT", bound=Section)


class Redis(Section):
    url: Secret = SecretStr(EMBEDDED)
    durability: Literal["always", "everysec"] = "always"
    trust_unseen_settings: Annotated[bool, BeforeValidator(_number)] = False

    @property
    def is_embedded(self) -> bool:
        return self.url.get_secret_value() == EMBEDDED


class Postgres(Section):
    dsn: Secret = SecretStr(EMBEDDED)
    pool_size: Count = 20

    @property
    def is_embedded(self) -> bool:
        return self.dsn.get_secret_value() == EMBEDDED


class Auth(Section):
    mode: Literal["none", "token"] = "none"
    token: Annotated[Tokens | None, BeforeValidator(_one_or_two)] = None

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token that opens the door now: one, or two while they are being rotated."""
        return tuple(token.get_secret_value() for token in self.token or ())


class Ingress(Section):
    listen: str = "127.0.0.1:8080"
    auth: Annotated[Auth, BeforeValidator(_section)] = Auth()
    max_head_bytes: Count = 16 * 1024
    head_seconds: Seconds = 5.0
    max_body_bytes: Count = 1024 * 1024
    body_seconds: Seconds = 10.0
    max_connections: Count = 512
    max_connections_per_address: Count = 64

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`.

        Raises:
          ValueError: `listen` is not `host:port`; refused at load, so nobody meets it later.
        """
        return split_address(self.listen)


class Admin(Section):
    socket: Path | None = None


class Batching(Section):
    window_seconds: Seconds = 8.0
    max_messages: Count = 5
    max_batch_messages: Count = 50
    max_waiting_messages: Count = 1000

    @property
    def policy(self) -> WindowPolicy:
        return WindowPolicy(
            window_seconds=self.window_seconds,
            max_messages=self.max_messages,
            max_batch_messages=self.max_batch_messages,
            max_waiting_messages=self.max_waiting_messages,
        )


class Turn(Section):
    max_tries: Count = 3
    concurrency: Count = 50
    backoff_seconds: Annotated[tuple[Seconds, ...], Field(min_length=1)] = (1.0, 2.0, 4.0)
    max_hold_seconds: Seconds = 21_600.0
    duplicate_seconds: SecondsOrZero = 300.0
    history_tokens: CountOrZero = 800


class Provider(Section):
    name: Name
    kind: Literal["rehearsal", "openai"]
    base_url: str | None = None
    api_key: Secret | None = None
    model: str | None = None
    timeout_seconds: Seconds = 30.0
    system_prompt: str | None = None


class ResponderSettings(Section):
    providers: Annotated[tuple[Provider, ...], Field(min_length=1)] = (
        Provider(name="rehearsal", kind="rehearsal"),
    )


class GatewaySettings(Section):
    kind: Literal["console", "evolution"] = "console"
    base_url: str | None = None
    api_key: Secret | None = None
    timeout_seconds: Seconds = 30.0
    on_unresolved: Literal["resend_once", "hold"] = "resend_once"
    settle_seconds: SecondsOrZero = 5.0


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class InstanceOverrides(Section):
    """What one instance has otherwise. Only the keys that were written count (`model_fields_set`)."""

    batching: Annotated[Batching, BeforeValidator(_section)] = Batching()
    responder: Annotated[ResponderSettings, BeforeValidator(_section)] = ResponderSettings()
    gateway: Annotated[GatewaySettings, BeforeValidator(_section)] = GatewaySettings()


class InstanceSettings(Section):
    """What holds for one instance: its overrides merged over the defaults."""

    name: str
    batching: Batching
    responder: ResponderSettings
    gateway: GatewaySettings


class Settings(BaseSettings):
    """All settings, resolved. Made by `load`; its own sources are never read implicitly."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    data_dir: Path = Path("var")
    node_id: Name | None = None
    partitions: Annotated[int, BeforeValidator(_number), Field(ge=1, le=16_384, strict=True)] = 256
    redis: Annotated[Redis, BeforeValidator(_section)] = Redis()
    postgres: Annotated[Postgres, BeforeValidator(_section)] = Postgres()
    ingress: Annotated[Ingress, BeforeValidator(_section)] = Ingress()
    admin: Annotated[Admin, BeforeValidator(_section)] = Admin()
    batching: Annotated[Batching, BeforeValidator(_section)] = Batching()
    turn: Annotated[Turn, BeforeValidator(_section)] = Turn()
    responder: Annotated[ResponderSettings, BeforeValidator(_section)] = ResponderSettings()
    gateway: Annotated[GatewaySettings, BeforeValidator(_section)] = GatewaySettings()
    drain_seconds: SecondsOrZero = 20.0
    log: Annotated[Log, BeforeValidator(_section)] = Log()
    instances: Annotated[
        dict[Name, Annotated[InstanceOverrides, BeforeValidator(_section)]], BeforeValidator(_section)
    ] = Field(default={"demo": InstanceOverrides()})

    _merged: dict[str, InstanceSettings] = PrivateAttr(default_factory=dict)

    def __init__(self, *sources: PydanticBaseSettingsSource) -> None:
        """From `sources`, the strongest first; without any, all defaults."""
        super().__init__(_build_sources=(sources, {}))

    def model_post_init(self, context: object, /) -> None:
        for name, overrides in self.instances.items():
            self._merged[name] = self._merge(name, overrides)

    @property
    def admin_socket(self) -> Path:
        return self.admin.socket or self.data_dir / "run" / "admin.sock"

    def for_instance(self, name: str) -> InstanceSettings:
        """What holds for `name`: batching and gateway merge key by key, a list of providers replaces all."""
        merged = self._merged.get(name)
        return merged if merged is not None else self._merge(name, InstanceOverrides())

    def window(self, instance: str) -> WindowPolicy:
        """The window of `instance`: this object is the `Policies` of the actors."""
        return self._windows.get(instance) or self._default_window

    # Asked for with every message; a private attribute of pydantic would cost ten times as much.

    @cached_property
    def _windows(self) -> dict[str, WindowPolicy]:
        return {name: merged.batching.policy for name, merged in self._merged.items()}

    @cached_property
    def _default_window(self) -> WindowPolicy:
        return self.batching.policy

    def _merge(self, name: str, overrides: InstanceOverrides) -> InstanceSettings:
        return InstanceSettings(
            name=name,
            batching=_over(self.batching, overrides.batching),
            responder=_over(self.responder, overrides.responder),
            gateway=_over(self.gateway, overrides.gateway),
        )


def _over(defaults: SectionT, overrides: SectionT) -> SectionT:
    written = {key: getattr(overrides, key) for key in overrides.model_fields_set}
    return defaults.model_copy(update=written)
