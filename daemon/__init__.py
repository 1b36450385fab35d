"""Majlis acts here: HTTP, Redis, Postgres, providers, gateways, admin, process life."""

from functools import cache


@cache
def package_version() -> str:
    """The version of Majlis that this process runs: read once, since the package may be replaced meanwhile."""
    from importlib.metadata import PackageNotFoundError, version  # only now: see `daemon.__main__`

    try:
        return version("majlis")
    except PackageNotFoundError:  # run from its source, without being installed
        return "from source"
