"""WhatsApp gateways, each in both directions: what it posts to Majlis, and how it is asked to send.

`kinds.py` registers them; a new one is a file or folder here and one line there. May import the neutral inbound types
of `daemon/ingress` and the HTTP client; gateways do not know settings as a whole, stores or one another.
"""
