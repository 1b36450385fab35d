"""The realtime door: proxies push messages and deliver replies over a WebSocket, watchers follow the events.

It may import the gateway kind that it delivers for, the events and the HTTP server; no store and no other door.
"""
