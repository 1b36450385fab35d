"""`make bench-hearing`: how often people are cut short, and how long they wait for their reply."""
