"""Which daemon owns which partition: leases in Postgres, and the fence in Redis that follows them.

Only the highest epoch acts. May import the mirror and the stores.
"""
