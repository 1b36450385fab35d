"""Which daemon owns which partition: leases in Postgres, and the fence in Redis that follows them."""
