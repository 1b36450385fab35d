"""Majlis as a systemd service: renders, checks and installs its unit files.

May import the settings alone.
"""

from daemon.service.check import check, write
from daemon.service.render import Installation, UnfitInstallation, installation, render

__all__ = ["Installation", "UnfitInstallation", "check", "installation", "render", "write"]
