"""Mode `passthrough`: what the gateway posts for an instance goes to another address as it came, durably, in order."""
