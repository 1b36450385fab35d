"""What the daemon reports about itself: events and their feed, logs, metrics, traces, readiness, monitor and alerts.

Reads what the engine's rooms offer, and nothing in the engine waits for it. May import those rooms, but no door and
nothing of the operators' side.
"""
