"""The HTTP/1 server and the HTTP client.

Know nothing of what is served or asked. May import the errors of `actors`; the server in `http1/` not even these.
"""
