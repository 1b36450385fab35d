"""What operators see and do, as HTTP with JSON over a Unix socket. One topic, one file: its views, what the daemon
knows of it, and its routes. `api` answers requests; `parameters`, `route` and `call` are what every topic works with.

Named here besides: what answers hold as other rooms define it.

Nothing of the engine imports this room: only the dashboard and the command line speak its words, and `daemon/run` wires
it. It may import every room of the engine, and no other door.
"""

from daemon.controls.feature_flags import FLAGS, FlagPage, FlagView, InstanceFlag
from daemon.gateways.kind import FeedView
from daemon.ingress.refusals import RefusedView
from daemon.ingress.unknown import UnknownView
from daemon.ledger.rows import TableSize
from daemon.observe.alerts import AlertView
from daemon.observe.latencies import LatencyView
from daemon.operate.api import AdminApi
from daemon.operate.routes import ROUTES
from daemon.responders.breaker import ProviderView
from daemon.sweep.view import SweepView

__all__ = [
    "FLAGS",
    "ROUTES",
    "AdminApi",
    "AlertView",
    "FeedView",
    "FlagPage",
    "FlagView",
    "InstanceFlag",
    "LatencyView",
    "ProviderView",
    "RefusedView",
    "SweepView",
    "TableSize",
    "UnknownView",
]
