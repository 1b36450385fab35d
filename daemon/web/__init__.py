"""HTTP/1 server and HTTP client. Knows nothing of what is served or asked."""
