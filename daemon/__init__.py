"""Majlis acts here: HTTP, Redis, Postgres, providers, gateways, admin, process life."""


def package_version() -> str:
    """The installed version of Majlis."""
    from importlib.metadata import PackageNotFoundError, version  # only now: see `daemon.__main__`

    try:
        return version("majlis")
    except PackageNotFoundError:  # run from its source, without being installed
        return "from source"
