"""`make bench-turns`: whole turns, from the webhook to the reply, beside two servers that do the same job.

Majlis, a FastAPI server and a Fastify + BullMQ server run at once, each with its own Redis and Postgres, all writing to
disk before they answer. Customers write bursts of three, a window is one second, and the next burst follows the reply.
A gateway and a model that answer at once are played by a process per server; their time does not count.

What is measured: turns per second at saturation, also with models that take one and three seconds; processor time per
turn of server, Postgres and Redis; the overhead of a turn of 20 conversations; acknowledgements at 300/s with and
without turns beside; WAL, transactions, fsyncs, statements and script calls per turn, from the stores' own statistics.
Each goal is printed with `reached` or `MISSED`. Fastify needs node 20 or newer; without it that server is left out.

With --against, the processor time of whole turns and of acknowledgements is compared to another checkout's instead. On
a busy machine look at processor times and ratios, not at rates. Exit code 0 whatever is reached; 1 when it broke.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from bench.processes import BenchBroken, end_as_by_ctrl_c
from bench.turns import against, beside
from bench.turns.contestants import AT_ONCE, TITLES


def main() -> int:
    options = _options()
    end_as_by_ctrl_c()
    try:
        if options.against:
            sys.stdout.write(asyncio.run(against.compare(options)))
            return 0
        found, table = beside.run(options)
        sys.stdout.write(beside.dumped(found) if options.json else table)
    except BenchBroken as error:
        sys.stderr.write(f"bench-turns: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-turns", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=12.0, help="measured time of each load (default 12)")
    parser.add_argument("--warm-seconds", type=float, default=6.0, help="before it (default 6)")
    parser.add_argument("--rounds", type=int, help="of all loads (default 2; with --against 5)")
    parser.add_argument("--conversations", type=int, default=800, help="at saturation (default 800)")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help=f"turns in a peer (default {AT_ONCE})")
    parser.add_argument("--quick", action="store_true", help="one short round: does it run at all")
    parser.add_argument("--only", choices=[*TITLES], action="append", help="leave the other servers out")
    parser.add_argument("--loads", choices=beside.LOADS, nargs="+", default=beside.LOADS, help="which loads")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    against.add_options(parser)
    options = parser.parse_args()
    options.rounds = options.rounds or (5 if options.against else 2)
    if options.quick:
        options.seconds, options.warm_seconds, options.rounds, options.conversations = 3.0, 2.0, 1, 60
    return options


if __name__ == "__main__":
    sys.exit(main())
