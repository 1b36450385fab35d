"""The two stores: Redis (the mirror) and Postgres (the ledger), and the servers Majlis can bring itself."""
