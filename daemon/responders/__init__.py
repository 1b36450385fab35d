"""The AI side: which provider is asked, how to talk to each kind, and what to do when one fails.

`kinds.py` registers the providers; a new one is a file here and one line there. May import `daemon/schema` and the HTTP
client; not the settings as a whole, the ledger or a gateway.
"""
