"""The dashboard: a page for a browser, the admin interface behind it, and a playground.

A session comes from a login link that is good once; it carries the level of whoever asked for the link. Everything
the page shows and does goes through the very routes of the admin socket: nothing here reads or changes the daemon by
itself.

Imports the operators' routes (`daemon/operate`), the playground gateway and the events; no store and no engine room.
"""
