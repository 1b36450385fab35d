"""What operators and the business switch at run time: feature flags, pauses, human take-overs, and the notices that
the business gets. May import the ledger's driver, the gateways' port and what `observe` records; no door."""
