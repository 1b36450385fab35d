"""What providers call their errors: statuses, codes, types, and well-known words of messages, all in lower case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

FailureKind = Literal[
    "bad_key",
    "bad_request",
    "blocked",
    "garbage",
    "not_found",
    "overloaded",
    "rate_limited",
    "refused_by_policy",
    "server_error",
    "timed_out",
    "too_long",
    "unexpected_status",
]

BY_STATUS: Mapping[int, FailureKind] = {
    400: "bad_request",
    401: "bad_key",
    402: "bad_key",
    403: "bad_key",
    404: "not_found",
    405: "not_found",
    406: "blocked",
    408: "timed_out",
    410: "not_found",
    411: "bad_request",
    413: "too_long",
    414: "too_long",
    415: "bad_request",
    422: "bad_request",
    424: "server_error",
    429: "rate_limited",
    431: "bad_request",
    451: "blocked",
    498: "overloaded",  # Groq: its flexible tier has no capacity
    500: "server_error",
    502: "server_error",
    503: "overloaded",
    504: "timed_out",
    520: "server_error",  # from here on Cloudflare's, about the server behind it
    521: "server_error",
    522: "timed_out",
    523: "server_error",
    524: "timed_out",
    525: "server_error",
    526: "server_error",
    527: "server_error",
    529: "overloaded",
    530: "server_error",
}
POLICY = frozenset(
    {
        *("content_filter", "content_policy_violation", "contentpolicyviolationerror", "moderation_blocked"),
        *("responsibleaipolicyviolation", "data_inspection_failed", "datainspectionfailed", "invalid_prompt"),
        *("content_filter_error", "prohibited_content", "safety", "refusal", "moderation", "flagged"),
        *("sensitive_words_detected", "prompt_blocked", "content_moderation", "guardrail_intervened"),
        *("1301", "minimax 1026", "minimax 1027"),  # Zhipu; MiniMax: what was asked, what was answered
    }
)
POLICY_SAYS = (
    "content management policy",
    "content policy",
    "content filter",
    "content filtering policy",
    "contentpolicyviolation",
    "violating our usage polic",
    "violates our usage polic",
    "violates usage guidelines",
    "our safety system",
    "the safety system",
    "requires moderation",
    "input was flagged",
    "was flagged for",
    "considered high risk",
    "inappropriate content",
    "datainspectionfailed",
    "sensitive_words_detected",
    "new_sensitive",
    "blocked by guardrail",
    "guardrail intervened",
    "prompt was blocked",
    "不安全或敏感内容",
)
BANNED = frozenset({"account_deactivated", "access_terminated", "access_terminated_error"})
_KEY = BANNED | frozenset(
    {
        *("authentication_error", "invalid_authentication_error", "authenticationerror", "authentication"),
        *("invalid_api_key", "invalidapikey", "api_key_invalid", "unauthenticated", "unauthorized"),
        *("permission_error", "permission_denied", "incorrect_api_key_error", "incorrect_api_key"),
        *("accessdenied", "accessdenied.unpurchased", "access_denied", "forbidden", "arrearage"),
        *("insufficient_quota", "billing_not_active", "billing_error", "insufficient_balance"),
        *("exceeded_current_quota_error", "payment_required", "insufficient_user_quota", "budget_exceeded"),
        *("unsupported_country_region_territory", "billing_hard_limit_reached", "insufficient_credits"),
        "1113",  # Zhipu: no money
        *("minimax 1004", "minimax 1008", "minimax 2049", "minimax 2056"),
    }
)
KEY_SAYS = (
    "incorrect api key",
    "invalid api key",
    "invalid_api_key",
    "api key not valid",
    "insufficient balance",
    "insufficient credits",
)
KEY_HINTS = ("auth", "permission", "api key", "api-key", "apikey", "credential", "token", "subscription")
"""In a refusal that is plain text."""
_TOO_LONG = frozenset(
    {
        *(
            "context_length_exceeded",
            "string_above_max_length",
            "exceed_context_size_error",
            "request_too_large",
        ),
        *("contextwindowexceedederror", "payload_too_large", "string_too_long", "token_limit_exceeded"),
        *("context_window_exceeded", "1261", "minimax 1039"),
    }
)
_TOO_LONG_SAYS = (
    "maximum context length",
    "model's context length",
    "context window",
    "context_length",
    "context limit",
    "available context size",
    "prompt is too long",
    "input is too long",
    "prompt too long",
    "input token count",
    "input tokens exceed",
    "maximum number of tokens allowed",
    "request too large",
    "range of input length",
    "maximum input length",
    "string too long",
    "exceeded model token limit",
    "too many tokens:",
)
_NOT_FOUND = frozenset(
    {
        *("model_not_found", "not_found_error", "not_found", "deploymentnotfound", "model_decommissioned"),
        *(
            "invalid_model",
            "modelnotfound",
            "notfounderror",
            "model_not_exist",
            "model_not_available",
            "1211",
        ),
        *("resource_not_found_error", "model_terms_required"),
    }
)
_NOT_FOUND_SAYS = (
    "is not a valid model",
    "model not exist",
    "invalid model",
    "unknown model",
    "no such model",
    "has been decommissioned",
    "model does not exist",
)
_RATE = frozenset(
    {
        *("rate_limit_error", "rate_limit_exceeded", "rate_limit_reached_error", "resource_exhausted"),
        *("too_many_requests", "toomanyrequests", "ratelimitreached", "ratelimiterror", "throttling"),
        *("throttling.ratequota", "limit_requests", "1302", "1303", "1305", "minimax 1002", "minimax 2045"),
    }
)
_OVERLOADED = frozenset(
    {
        "overloaded_error",
        "engine_overloaded_error",
        "provider_overloaded",
        "unavailable",
        "service_unavailable",
    }
)
_TIMED_OUT = frozenset({"timeout_error", "deadline_exceeded", "timeout", "request_timeout", "minimax 1001"})
_SERVER = frozenset(
    {
        *("api_error", "server_error", "internal_server_error", "internal", "internal_error", "server"),
        *(
            "provider_unavailable",
            "network_error",
            "insufficient_system_resource",
            "upstream_error",
            "bad_gateway",
        ),
        *("minimax 1000", "minimax 1013", "minimax 1024", "minimax 1033"),
    }
)
_BAD_REQUEST = frozenset(
    {
        *("invalid_request_error", "unsupported_parameter", "unsupported_value", "unknown_parameter"),
        *(
            "badrequesterror",
            "invalid_argument",
            "extra_forbidden",
            "invalid_parameter_error",
            "minimax 2013",
        ),
    }
)
BY_WORDS: tuple[tuple[frozenset[str], tuple[str, ...], FailureKind], ...] = (
    (_TOO_LONG, _TOO_LONG_SAYS, "too_long"),
    (_KEY, KEY_SAYS, "bad_key"),
    (_NOT_FOUND, _NOT_FOUND_SAYS, "not_found"),
    (_RATE, ("rate limit",), "rate_limited"),
    (_OVERLOADED, ("overloaded",), "overloaded"),
    (_TIMED_OUT, (), "timed_out"),
    (_SERVER, (), "server_error"),
    (_BAD_REQUEST, (), "bad_request"),
)
