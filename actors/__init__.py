"""Majlis decides here: the window, the conversation, the turn.

The pure modules take the time, ids and chance as arguments and return what is to be done; the few that wait do it
through the Protocols of `ports.py`. Imports the standard library, trio and msgspec, and nothing of `daemon/`.
"""
