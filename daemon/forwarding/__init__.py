"""Mode `passthrough`: what the gateway posts for an instance goes to another address as it came, durably and in order.

May import settings, the neutral types of the webhook door, the events, Postgres and HTTP; no gateway, no ledger and
nothing of the operators' side: it knows nothing of what is in a webhook but where the gateway's token stands.
"""
