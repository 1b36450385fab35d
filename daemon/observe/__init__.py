"""What the daemon reports about itself: events, their feed, logs, readiness, metrics, traces, monitor, alerts.
It reads what the engine's rooms offer; nothing in the engine waits for it."""
