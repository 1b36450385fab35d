"""The `majlis` command line of somebody who wrote a gateway. Run as `python -m tests.acceptance.run_with_pigeons`."""

from __future__ import annotations

import sys

from daemon.gateways.kinds import GATEWAYS
from tests.support.pigeon import Pigeon

GATEWAYS[Pigeon.name] = Pigeon()  # the one line that a new gateway takes

from tests.acceptance.run_daemon import run  # noqa: E402 - the settings are put together from the registry

if __name__ == "__main__":
    run(sys.argv[1:])
