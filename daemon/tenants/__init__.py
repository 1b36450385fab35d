"""Instances and what is set for them: added, changed, removed and given back, each change a version.

`tenants.py` is the way in. `keys.py` says what may be set, `plan.py` what a change makes of the state, `history.py`
what a version changed (all pure); `rows.py` is the SQL, `changes.py` follows what others change, `view.py` shows it.
`secrets.py` keeps what is sealed.

May import the settings and what changes them at run time, the names the door knows, and the stores with their spelling.
"""

from daemon.tenants.changes import Changes
from daemon.tenants.tenants import Tenants

__all__ = ["Changes", "Tenants"]
