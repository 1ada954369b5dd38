"""The settings of the embedded hub for each gateway recording, as a table.

A case of `SITUATIONS` is replayed against the embedded hub; a case of `ELSEWHERE` is not, for the reason given.
Every
recording is in one of the two: `test_shapes` fails on a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hubmix.embedded import Fault

_WORDS = 5  # the events that the scripted vendor sent before it failed: the role and four words


@dataclass(frozen=True, slots=True)
class Situation:
    """What is set up before a recording's requests are sent.

    Args:
        key: The state of the key they are sent with, or the USD it was granted; "unknown" is not registered,
            "suffixed" has a channel behind it, None sends none.
        faults: What goes wrong, one for each request; in a dialect of `by_dialect`, that instead.
        model: The rule behind the requested model, or the fields in which it differs from `embedded/extract`.
        differs: Words of the lines in which the shapes may differ, each with the reason.
        rate_limit: Calls a minute.
    """

    key: str | float | None = "good"
    faults: tuple[Fault | str, ...] = ()
    by_dialect: Mapping[str, tuple[Fault | str, ...]] = field(default_factory=dict)
    model: str | Mapping[str, Any] = "extract"
    differs: Mapping[str, str] = field(default_factory=dict)
    rate_limit: int | None = None


def fault(*faults: Fault | str, **by_dialect: tuple[Fault | str, ...]) -> Situation:
    return Situation(faults=faults, by_dialect={name.replace("_", "-"): value for name, value in by_dialect.items()})


def named(names: str, situation: Situation) -> dict[str, Situation]:
    return dict.fromkeys(names.split(), situation)


_PLAIN = Situation()
_UNKNOWN = Situation(key="unknown")
_NO_KEY = Situation(key=None)
_EMPTY = Situation(key="empty")
_CUT = fault(Fault.cut(_WORDS))
_NO_REFUSAL = {"refusal": "the scripted vendor left the key out of this answer"}
_OWN_COUNTS = {"prompt_cache": "DeepSeek's own counts, which only this one answer had"}

SITUATIONS: Mapping[str, Situation] = {
    **{
        f"system_{what}_overloaded": fault(f"system_{what}_overloaded")  # refused before any vendor is asked
        for what in ("cpu", "memory", "disk")
    },
    "system_cpu_overloaded_stream": fault("system_cpu_overloaded"),
    **named("model_price_error model_price_error_stream model_price_error_zh", fault("model_price_error")),
    "key_group_gone": fault("key_group_gone"),
    **named(
        """ok ok_stream ok_history wrong_role tools tools_turn tools_stream json_schema logprobs logprobs_stream
            server_retry_429 ok_stream_keepalive stream_no_done ok_stream_no_usage_asked reasoning_stream
            messages_empty messages_missing max_tokens_huge max_tokens_negative wrong_type model_missing not_json
            body_empty model_unknown model_unknown_stream model_alias model_case embeddings embeddings_base64
            embeddings_missing embeddings_tokens embeddings_unknown rerank rerank_unserved rerank_no_documents
            rerank_no_query model_get model_get_custom model_get_slash model_get_unknown api_models status
            user_self_with_key billing_subscription billing_subscription_v1 billing_usage usage_token path_unknown
            chat_get base_without_v1 responses_api""",
        _PLAIN,
    ),
    **named("bad_key billing_bad_key models_bad_key", _UNKNOWN),
    **named("no_key models_no_key", _NO_KEY),
    **named("account_empty account_empty_stream account_short account_empty_balance account_empty_models", _EMPTY),
    "account_banned": Situation(key="banned"),
    "key_disabled": Situation(key="disabled"),
    "key_expired": Situation(key="expired"),
    "key_ip_denied": Situation(key="ip_denied"),
    "key_model_denied": Situation(key="model_denied"),
    "key_short": Situation(key="short"),
    "key_spent": Situation(key="spent"),
    "key_with_channel": Situation(key="suffixed"),
    "billing_metered": Situation(key=0.5),
    "limit_account": Situation(rate_limit=1),
    "limit_account_stream": Situation(rate_limit=0),
    "limit_ip": Situation(faults=("limit_ip",)),
    "pricing": Situation(
        differs={
            "create_cache_ratio": "only Claude has a price for writing to the cache",
            "vendor_id": "every embedded model has a vendor",
            "cache_ratio": "every other recorded model has one",
            "supported_endpoint.": "no Anthropic, no Gemini",
        }
    ),
    "channel_auto_off": fault("channel_auth", "channel_auth", "model_not_found", "model_not_found"),
    "server_retry": fault(one_api=("server_retry_all_fail",)),
    **{
        case: fault(case)
        for case in (
            *(
                "vendor_400_context",
                "vendor_400_filter",
                "vendor_400_max_tokens",
                "vendor_403",
                "vendor_408",
                "vendor_413",
            ),
            *(
                "vendor_429",
                "vendor_429_quota",
                "vendor_500",
                "vendor_502_html",
                "vendor_503",
                "vendor_529",
                "stream_429",
            ),
            *("vendor_error_detail", "vendor_error_message", "vendor_error_string", "vendor_refused", "vendor_reset"),
            *("vendor_200_empty", "vendor_200_garbled", "vendor_200_html", "vendor_200_short", "server_retry_all_fail"),
            *("gemini_400", "gemini_429"),
        )
    },
    "gemini_blocked_prompt": fault(
        "gemini_blocked_prompt",
        one_api=(Fault.error_event(body={"message": "No candidates returned", "type": "server_error"}, code=500),),
    ),
    "vendor_200_error": fault(Fault.error_event(body={"message": "Upstream is busy", "type": None, "code": "busy"})),
    "vendor_200_no_choices": fault("only_usage"),
    "vendor_200_no_usage": Situation(faults=("usage:absent",), differs=_NO_REFUSAL),
    "vendor_200_null_content": fault("empty_answer"),
    "vendor_200_filtered": Situation(model="filter", differs=_NO_REFUSAL),
    "vendor_200_length": Situation(model={"max_output": 2}, differs=_NO_REFUSAL),
    "n_two": Situation(differs=_NO_REFUSAL),
    "image_in": Situation(model="vision", differs=_NO_REFUSAL),
    "refusal": Situation(model="refuse"),
    "refusal_stream": Situation(model="refuse"),
    "reasoning": Situation(differs=_OWN_COUNTS),
    "reasoning_turn": Situation(
        differs={"tool_calls": "the scripted vendor left one of two cities; the rule asks for it"}
    ),
    "models": Situation(differs={"supported_endpoint_types[]": "recorded before the gateway had filled them in"}),
    "ok_stream_no_usage_given": fault("usage:absent"),
    "ok_stream_usage_in_last": fault("usage:in_last"),
    "ok_stream_usage_in_last_not_asked": fault("usage:in_last"),
    **named("stream_cut_mid stream_done_early stream_ends_early stream_stalls server_retry_stream_cut", _CUT),
    "stream_cut_before_first": fault(Fault.cut(1)),
    "stream_cut_after_finish": fault(Fault.cut(1_000)),
    "stream_empty": fault("only_usage", one_api=("only_done",)),
    "stream_only_done": fault("only_usage", one_api=("only_done",)),
    "stream_json_instead": fault(
        "only_usage",
        one_api=(Fault.answer(200, {"error": {"message": "", "type": "upstream_error", "param": "200", "code": ""}}),),
    ),
    "stream_error_first": fault(Fault.error_event(0, code=502)),
    "stream_error_mid": fault(Fault.error_event(_WORDS)),
    "stream_error_event": fault(Fault.error_event(4)),
    "stream_garbled_line": fault(Fault.garbled_line(4)),
    "stream_filtered": Situation(model="filter"),
    "stream_length": Situation(model={"max_output": 4}),
    "stream_pings": fault("pings:3"),
    "stream_pings_before_headers": fault(Fault.slow(0.01, every=0.005)),
    "stream_pings_then_error": fault(
        Fault.error_event(
            style="bare", seconds=0.01, every=0.005, body={"message": "", "type": "", "param": "", "code": ""}
        )
    ),
    "stream_silent": fault(Fault("only_usage", seconds=0.01, every=0.005)),
    **named("models_endpoint_types models_group_auto models_group_dear models_group_vip", _PLAIN),
    **named(
        """billing_group_auto billing_group_default billing_group_dear billing_group_vip billing_tiered_leftover
            billing_tiered_only""",
        Situation(differs={**_NO_REFUSAL, "_tokens_details": "the scripted vendor counted no details"}),
    ),
    "tools_cut": Situation(faults=(Fault.cut(2),), differs=_NO_REFUSAL),
    "tools_truncated": Situation(model={"max_output": 7}, differs=_NO_REFUSAL),
}
# What one dialect does otherwise.
SPECIAL: Mapping[tuple[str, str], Situation] = {("one-api", "ok_stream_no_usage_asked"): fault("usage:unasked")}

_ANTHROPIC = "Anthropic's wire is behind: the embedded hub has a vendor of the OpenAI wire behind it"
_GEMINI = "Gemini's wire is behind: the embedded hub has a vendor of the OpenAI wire behind it"
_OPENROUTER = "OpenRouter's list of reasoning_details; the embedded hub has AIHubMix's object"
_CLAUDE_CASES = """claude claude_cache claude_empty claude_length claude_length_stream claude_redacted claude_refusal
    claude_stop_sequence claude_stream claude_stream_cut claude_stream_overloaded claude_thinking
    claude_thinking_stream claude_tool_no_args_stream claude_tools claude_tools_stream claude_turn"""
_GEMINI_CASES = """gemini gemini_blocked_answer gemini_blocked_stream gemini_length gemini_malformed_call
    gemini_recitation gemini_stream gemini_stream_cut gemini_text_and_tool gemini_thought gemini_thought_stream
    gemini_tools gemini_tools_one_event_stream gemini_tools_stream gemini_turn"""
ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(_CLAUDE_CASES.split(), _ANTHROPIC),
    **dict.fromkeys(_GEMINI_CASES.split(), _GEMINI),
    "reasoning_details": _OPENROUTER,
    "reasoning_details_stream": _OPENROUTER,
    "ok_extras": "the scripted vendor answered text although the request forces a call; a rule makes the call",
    "group_model_missing": "every key of the embedded hub is in one group, which has every model",
    "new-api/responses_api": "an old recording, whose vendor answered a chat completion",
    "pricing_2026": "prices by expressions, and groups that not every New API has",
    "one-api/embeddings_missing": "the scripted vendor answered a chat completion; OpenAI refuses a missing input",
}

# AIHubMix descends from one-api and was not measured. Where its documentation says something else than one-api does, it
# is held to that in tests of its own; everything else is one-api's.
_MODEL_400 = "AIHubMix answers 400 for a model that it does not have: Incorrect model ID"
_DETAILS = "reasoning_details is an object, and its stream has the order of the documentation"
_EVENT = "whether AIHubMix passes on a vendor's error event is not known; here it does, as New API does"
AIHUBMIX: Mapping[str, str] = {
    **dict.fromkeys(
        [
            "channel_auto_off",
            "embeddings_unknown",
            "model_alias",
            "model_case",
            "model_missing",
            "model_unknown",
            "model_unknown_stream",
            "rerank_unserved",
        ],
        _MODEL_400,
    ),
    **dict.fromkeys(["models", "account_empty_models"], "the list of models has no `object`"),
    **dict.fromkeys(["reasoning", "reasoning_stream", "reasoning_turn"], _DETAILS),
    **dict.fromkeys(["stream_error_first", "stream_error_mid", "stream_error_event"], _EVENT),
    "api_models": "the catalog is AIHubMix's own page",
    "models_no_key": "the list of models is public",
    "responses_api": "the Responses API is served",
    "key_short": "AIHubMix checks the price of the answer before it asks for one",
}
