"""The realtime door: proxies push messages and deliver replies over a WebSocket, watchers follow the events."""
