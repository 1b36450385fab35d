"""The webhook door: who may post, what a payload means in neutral words, what is quarantined, which LID is which phone.

Gateways translate into the types of `inbound.py`. Imports no gateway and no store.
"""
