"""The section of the traces: where they go, and how much of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from daemon.fields import Count, Name, Seconds, Secret, Section, Share, section


class Tracing(Section):
    endpoint: str | None = None
    headers: Annotated[dict[Name, Secret], BeforeValidator(section)] = Field(default_factory=dict)
    service_name: Name = "majlis"
    sample: Share = 1.0
    every_seconds: Seconds = 5.0
    timeout_seconds: Seconds = 10.0
    max_queued_spans: Count = 10_000
    max_batch_spans: Count = 512
