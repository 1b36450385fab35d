"""What the daemon reports about itself: events, their feed, logs, readiness, metrics, traces, monitor, alerts.

It reads what the engine's rooms offer, and nothing in the engine waits for it. May import those rooms, but no door and
nothing of the operators' side.
"""
