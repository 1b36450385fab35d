"""Majlis decides here: the window, the conversation, the turn. Standard library, trio and msgspec only."""
