"""The durable copy of buffers and timers in Redis: keys, scripts, group commit, checks."""
