"""What is switched at run time: feature flags, pauses by operators, human take-overs, and notices to the business.

Everybody asks them in every turn, so an answer is one look into memory. May import settings, the ledger and the neutral
inbound types; no gateway, and nothing of the operators' side.
"""
