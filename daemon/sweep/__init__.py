"""Compares what the gateways' records hold with what was heard: messages that no webhook brought are heard late.

Takes what it needs of gateways, mirror and ledger as arguments. Imports no door.
"""
