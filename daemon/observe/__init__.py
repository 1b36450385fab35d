"""What the daemon says of itself: events and their feed, logs, readiness, metrics, traces, the monitor and its alerts.
Reads what the engine's rooms offer; nothing in the engine waits for it."""
