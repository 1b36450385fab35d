"""What is controlled at run time: feature flags, pauses by operators, human take-overs, and notices to the business.

The first three are asked in every turn, so an answer reads memory alone. May import settings, the ledger and the
neutral inbound types; no gateway, and nothing of the operators' side.
"""
