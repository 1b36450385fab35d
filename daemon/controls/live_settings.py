"""The settings in force: those of the start, and over them what was set since.

Laws of this file:
1. `window` and `terms` are asked for with every message and in every turn: they read memory alone, and no more than a
   dictionary.
2. All names without settings of their own share one answer, so that made-up names in a webhook's path take no room.
3. Whoever needs a setting of an instance asks here each time and keeps nothing. Who keeps what is made of settings (a
   gateway's client, a parser) follows, and drops it when they change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from actors.instance import Terms
from actors.messages import WindowPolicy
from daemon.config import InstanceSettings, Settings
from daemon.config.credentials import plain, signing_keys
from daemon.config.run_time import (
    ForDaemon,
    ForInstance,
    RunTimeValue,
    all_together,
    for_daemon,
    for_instance,
)
from daemon.config.schema import NoticeWebhook
from daemon.config.sections import AnyGatewaySettings
from daemon.ingress.credentials import OwnCredentials

CREDENTIALS = frozenset(
    {"ingress.token", "ingress.tokens_sha256", "ingress.jwt_key", "ingress.signing_secret"}
)
_ANY_INSTANCE = ""
"""No instance has this name: its settings are those of every instance without settings of its own."""


class LiveSettings:
    """Implements `actors.ports.Policies`. It is there from the first moment, with what the start was configured to."""

    def __init__(self, configured: Settings) -> None:
        self.configured = configured
        """As they were read at the start."""
        self._followers: list[Callable[[], None]] = []
        self._for_all = for_daemon(configured, ())
        self._apart: Mapping[str, ForInstance] = {}
        self._windows: dict[str, WindowPolicy] = {}
        self._terms: dict[str, Terms | None] = {}
        self.put(self._for_all, {}, are_read=False)

    def put(
        self,
        for_all: ForDaemon,
        apart: Mapping[str, ForInstance],
        shut: Mapping[str, Collection[str]] = {},
        are_read: bool = True,
    ) -> None:
        """Have these in force from now on.

        Args:
          apart: the instances with run-time settings of their own.
          shut: their secrets that cannot be opened, by their keys.
          are_read: False: what is stored is not known yet.
        """
        self._shut = shut
        self._are_read = are_read
        self._own_credentials: OwnCredentials | None = None
        windows, terms = self._made_before(for_all, apart)
        self._for_all = for_all
        self._apart = apart
        settings = for_all.settings
        for name in (*settings.instances, *apart):
            if name not in windows:
                windows[name] = self.for_instance(name).batching.window
        self._windows = windows
        self._terms = dict[str, Terms | None].fromkeys(windows) | terms
        self._default_window = settings.batching.window
        self._default_terms = self.for_instance(_ANY_INSTANCE).terms()
        for changed in self._followers:
            changed()

    def _made_before(
        self, for_all: ForDaemon, apart: Mapping[str, ForInstance]
    ) -> tuple[dict[str, WindowPolicy], dict[str, Terms | None]]:
        """The windows and terms of the instances whose settings stay the same."""
        if for_all is not self._for_all:
            return {}, {}
        names = self._windows.keys() & {*for_all.settings.instances, *apart}
        stay = [name for name in names if apart.get(name) is self._apart.get(name)]
        return {name: self._windows[name] for name in stay}, {name: self._terms[name] for name in stay}

    def follow(self, changed: Callable[[], None]) -> None:
        """`changed` is called now, and whenever other settings are in force."""
        self._followers.append(changed)
        changed()

    @property
    def names(self) -> frozenset[str]:
        """The instances with settings of their own, of the start or since."""
        return frozenset(self._windows)

    def own_credentials(self) -> OwnCredentials:
        """What opens the door for one instance; the same object until something changes.

        One that does not fit is as one that cannot be opened: the door must not stand open for want of it.
        """
        if self._own_credentials is None:
            found = {name: self.for_instance(name).ingress for name in self._windows}
            own = {name: ingress for name, ingress in found.items() if ingress.is_guarded}
            shut = {name for name, keys in self._shut.items() if not CREDENTIALS.isdisjoint(keys)}
            for name, one in self._apart.items():
                if any(left.key in CREDENTIALS for left in one.left_out):
                    shut.add(name)
            self._own_credentials = OwnCredentials(
                {name: plain(ingress.token) for name, ingress in own.items()},
                {name: ingress.tokens_sha256 or () for name, ingress in own.items()},
                {name: tuple(map(str.encode, plain(ingress.jwt_key))) for name, ingress in own.items()},
                {name: signing_keys(ingress.signing_secret) for name, ingress in own.items()},
                frozenset(shut),
                self._are_read,
            )
        return self._own_credentials

    def for_instance(self, name: str) -> InstanceSettings:
        own = self._apart.get(name)
        return self._for_all.settings.for_instance(name) if own is None else own.settings

    def tried(self, name: str, values: Sequence[RunTimeValue]) -> ForInstance:
        """What would be in force for an instance with these settings of its own; changes nothing."""
        return for_instance(self.configured, self._for_all.layer, name, values)

    def every(self) -> Iterator[InstanceSettings]:
        """All that differ, and those of every other instance."""
        yield from map(self.for_instance, (*self._windows, _ANY_INSTANCE))

    def gateway(self, name: str) -> AnyGatewaySettings | None:
        """None: it is not known which one is meant, so nothing is sent, nor is it asked: another one's key must not go
        to this one's address. See `ForInstance.has_gateway`; or a secret of it cannot be opened.
        """
        own = self._apart.get(name)
        if own is not None and not own.has_gateway:
            return None
        return None if self.lacks_secret(name, "gateway") else self.for_instance(name).gateway

    def lacks_secret(self, name: str, section: str) -> bool:
        """Whether a secret of that section is stored and cannot be opened: what is in force there is another's."""
        return any(key.startswith(f"{section}.") for key in self._shut.get(name, ()))

    @property
    def of_others(self) -> InstanceSettings:
        """Those of every instance without settings of its own."""
        return self.for_instance(_ANY_INSTANCE)

    def webhook(self, instance: str, reference: str) -> NoticeWebhook | None:
        """What a notice's reference stands for; None: none is set, or the reference is unknown."""
        return self.for_instance(instance).webhook(reference)

    def window(self, instance: str) -> WindowPolicy:
        return self._windows.get(instance) or self._default_window

    def terms(self, instance: str) -> Terms:
        terms = self._terms.get(instance)
        if terms is None:
            if instance not in self._terms:
                return self._default_terms
            terms = self._terms[instance] = self.for_instance(instance).terms()
        return terms

    def with_origins(self, instance: str | None = None) -> Settings:
        """All settings with the origin of each, or those that matter for one instance: for people, and not cheap."""
        if instance is None:
            own = list(self._apart.values())
        else:
            found = self._apart.get(instance)
            own = [] if found is None else [found]
        layers = [one.layer for one in own]
        return all_together(self.configured, (*layers, self._for_all.layer))
