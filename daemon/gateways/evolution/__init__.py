"""Evolution API: what it posts, how it is asked to send, and what its answers prove."""
