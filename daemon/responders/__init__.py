"""The AI side: who is asked, how each kind of provider is spoken to, and what is done when one fails.

`kinds.py` registers the providers; a new one is a file here and one line there. May import `daemon/schema` and the HTTP
client; not the settings as a whole, the ledger or a gateway.
"""
