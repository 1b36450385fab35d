"""Turns as traces: what each of them did and how long it took, exported to a collector by OpenTelemetry's protocol.

`spans` is what a trace is, `recording` makes one of what is seen of a turn, `recorder` sees it, `exporter` keeps what
is to be sent in bounds, and `otlp`, the only file that needs the extra `otel`, sends it.
"""
