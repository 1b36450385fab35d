"""What is known of sends while the ledger cannot take it: in memory, in Redis, in a file.

May import the mirror and the stores.
"""
