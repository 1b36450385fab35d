"""The admin door: live introspection and a few changes, as HTTP with JSON over a Unix socket."""

from daemon.admin.api import ROUTES, AdminApi
from daemon.admin.operations import AuditEntry, Conflict, NotFound, Operations, Ref
from daemon.admin.views import (
    ActorPage,
    ActorState,
    ActorView,
    Check,
    CheckState,
    ConversationView,
    DeadLetterPage,
    DeadLetterView,
    DoctorReport,
    Flushed,
    IngressCounts,
    MessageView,
    PartView,
    Retried,
    Status,
    TurnView,
)

__all__ = [
    "ROUTES",
    "ActorPage",
    "ActorState",
    "ActorView",
    "AdminApi",
    "AuditEntry",
    "Check",
    "CheckState",
    "Conflict",
    "ConversationView",
    "DeadLetterPage",
    "DeadLetterView",
    "DoctorReport",
    "Flushed",
    "IngressCounts",
    "MessageView",
    "NotFound",
    "Operations",
    "PartView",
    "Ref",
    "Retried",
    "Status",
    "TurnView",
]
