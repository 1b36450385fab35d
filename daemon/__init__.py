"""Majlis acts here: HTTP, Redis, Postgres, providers, gateways, admin, process life."""

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """The installed version of Majlis."""
    try:
        return version("majlis")
    except PackageNotFoundError:  # run from its source, without being installed
        return "from source"
