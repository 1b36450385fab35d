"""Compares what the gateways' records hold with what was heard: messages that no webhook brought are heard late."""
