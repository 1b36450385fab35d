"""Instances as operators set them up while the daemon runs: their sealed secrets, and files that declare instances.

May import settings, what is controlled at run time, and the ledger; nothing of the operators' side.
"""
