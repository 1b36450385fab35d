"""The webhook door: who may post, neutral types for what payloads mean, quarantine, and which LID is which phone.

Gateways translate into the types of `inbound.py`. Imports no gateway and no store.
"""
