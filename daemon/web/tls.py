"""Which servers are believed over TLS: one answer for every outgoing connection of the process.

Laws of this file:
1. Chain and host name are always verified; there is no way to switch that off.
2. Believed are the authorities of the system and, for systems that bring none or old ones, of the package `certifi`.
   `SSL_CERT_FILE` and `SSL_CERT_DIR` take the place of the system's file and folder, as OpenSSL itself reads them, and
   `certifi` is left out. `tls.ca_file` adds to all of them.
3. A file that is named and cannot be used is an error: it is never left out in silence.
"""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

import certifi

from actors.errors import MajlisError

CERT_FILE, CERT_DIR = "SSL_CERT_FILE", "SSL_CERT_DIR"
"""Of the environment; OpenSSL's own words."""
SETTING = "tls.ca_file"


class CannotTrust(MajlisError):
    """A file of certificates cannot be used. The text is a sentence that says which and why."""


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """For outgoing connections; the same object again as long as nothing has changed.

    Raises:
      CannotTrust: a file that the settings or the environment name cannot be used.
    """
    return _context(ca_file, os.environ.get(CERT_FILE, ""), os.environ.get(CERT_DIR, ""))


def sources(ca_file: Path | None) -> str:
    """Where the authorities come from, in words."""
    replaced = [f"{name}={os.environ[name]}" for name in (CERT_FILE, CERT_DIR) if os.environ.get(name)]
    return " and ".join(
        [" and ".join(replaced) or "the system", *([f"{SETTING} {ca_file}"] if ca_file else [])]
    )


def problem(ca_file: Path | None) -> str:
    """Why these would not be believed at a start now; empty: they would."""
    try:
        _context.__wrapped__(ca_file, os.environ.get(CERT_FILE, ""), os.environ.get(CERT_DIR, ""))
    except CannotTrust as error:
        return str(error)
    return ""


@lru_cache(maxsize=8)
def _context(ca_file: Path | None, cert_file: str, cert_dir: str) -> ssl.SSLContext:
    context = ssl.create_default_context()  # reads the environment's two, and a wrong one in silence
    if cert_file:
        _load(context, CERT_FILE, cert_file)
    elif not cert_dir:
        _load(context, "certifi", certifi.where())
    if cert_dir and not any(Path(each).is_dir() for each in cert_dir.split(os.pathsep)):
        raise CannotTrust(
            f"{CERT_DIR}: {cert_dir} is no folder: correct it, or remove it from the environment."
        )
    if ca_file is not None:
        _load(context, SETTING, str(ca_file))
    return context


def _load(context: ssl.SSLContext, name: str, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise CannotTrust(f"{name}: {path} holds no certificates in PEM format.") from None
    except OSError as error:
        raise CannotTrust(f"{name}: {path} cannot be read ({error.strerror}).") from None
