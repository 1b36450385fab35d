"""The mirror: the durable copy of buffers and timers in Redis.

Keys, Lua scripts, the group commit of appends, and what makes a Redis fit. May import `daemon/stores` alone.
"""
