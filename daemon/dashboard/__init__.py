"""The dashboard: web pages, the admin interface behind them, and a playground.

A session is opened by a one-time login link and has the access level of the person who requested the link. Everything
that the pages show and do goes through the routes of the admin socket: nothing here reads or changes the daemon
directly.

Imports the operators' routes (`daemon/operate`), the playground gateway and the events; no store and no engine room.
"""
