"""Majlis as a service of the system: unit files for this installation, and whether they are fit."""

from daemon.service.check import check, write
from daemon.service.render import Installation, UnfitInstallation, installation, render

__all__ = ["Installation", "UnfitInstallation", "check", "installation", "render", "write"]
