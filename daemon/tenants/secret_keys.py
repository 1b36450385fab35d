"""The keys of this daemon that seal and open secrets: those of the settings, and with an embedded database its own."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.config.secret_keys import MAKE_ONE
from daemon.tenants.key_file import KeyFile, KeyFileUnfit
from daemon.tenants.sealing import NoSealingKey, Sealer

NO_KEY = (
    "a key or token of an instance is stored sealed only, and this daemon has no key to seal it with: set secrets.keys "
    f"(in the environment: MAJLIS_SECRETS__KEYS; {MAKE_ONE}), the same on every daemon of this database, and restart"
)


class SecretKeys:
    """Args:
    configured: the keys of `secrets.keys`; the first one seals.
    file: where a key of its own is kept; None: the database is not this daemon's alone.
    """

    def __init__(self, configured: Sequence[bytes] = (), file: KeyFile | None = None) -> None:
        self._configured = tuple(configured)
        self._file = file

    def to_open(self) -> Sealer:
        """Every key that there is. Reads a file.

        Raises:
          KeyFileUnfit: there is a key file, and it cannot be used.
        """
        own = None if self._file is None else self._file.read()
        return Sealer(dict.fromkeys((*self._configured, *((own,) if own else ()))))

    def to_seal(self) -> Sealer:
        """The same, and a new key where one is needed for the first time. May write a file.

        Raises:
          NoSealingKey: there is none, and the settings have to name one.
          KeyFileUnfit: the key file cannot be used.
        """
        if not self._configured:
            if self._file is None:
                raise NoSealingKey(NO_KEY)
            self._file.read_or_make()
        try:
            return self.to_open()
        except KeyFileUnfit:
            if self._configured:  # the file is only an old key's place
                return Sealer(self._configured)
            raise
