"""The settings of the embedded hub for each recording of `/v1/responses`."""

from __future__ import annotations

from collections.abc import Mapping

from hubmix.embedded import Fault
from tests.embedded.situations import Situation, fault, named

_EVENTS = 7  # the events that the scripted vendor sent before it failed: four to begin, three words
_PLAIN = Situation()
_THINKS = Situation(model="think")
_ECHO = {"tools[]": "the scripted vendor sends no tools back"}
_FORM = {"text.format.": "the scripted vendor sends no schema back"}
_FIRST, _MIDDLE = Fault.cut(0), Fault.cut(_EVENTS)
_BUSY = {"message": "Upstream is busy", "type": "upstream_error", "code": "busy"}
_BROKEN = {"message": "The model failed.", "code": "server_error"}


def _error(after: int, style: str = "data", **body: object) -> Situation:
    return fault(Fault.error_event(after, style=style, body=body or None))  # type: ignore[arg-type]  # a word of Style


SITUATIONS: Mapping[str, Situation] = {
    **named(
        """responses_text responses_stream responses_file_in responses_image_in responses_items_in
            responses_input_missing responses_chat_body responses_input_empty responses_cached
            responses_max_tokens_negative responses_model_missing responses_model_unknown responses_not_json
            responses_model_unknown_stream responses_wrong_type responses_retrieve responses_embedding_model
            responses_queued responses_server_retry""",
        _PLAIN,
    ),
    **named("responses_bad_key responses_bad_key_stream", Situation(key="unknown")),
    "responses_no_key": Situation(key=None),
    "responses_account_banned": Situation(key="banned"),
    "responses_key_expired": Situation(key="expired"),
    "responses_key_spent": Situation(key="spent"),
    "responses_key_short": Situation(key="short"),
    "responses_key_model_denied": Situation(key="model_denied"),
    **named("responses_account_empty responses_account_empty_stream responses_account_short", Situation(key="empty")),
    "responses_limit_account": Situation(rate_limit=1),
    "responses_limit_account_stream": Situation(rate_limit=0),
    "responses_reasoning": _THINKS,
    "responses_vendor_400_encrypted": _THINKS,
    "responses_vendor_400_previous_id": _PLAIN,
    **named(
        """responses_tools responses_tools_stream responses_tools_parallel responses_tools_parallel_stream
            responses_tools_turn responses_tools_turn_stream""",
        Situation(differs=_ECHO),
    ),
    **named("responses_web_search responses_web_search_stream", Situation(differs=_ECHO)),
    **named("responses_json_schema responses_json_schema_stream", Situation(differs=_FORM)),
    **named("responses_refusal responses_refusal_stream", Situation(model="refuse")),
    **named("responses_incomplete responses_incomplete_stream", Situation(model={"max_output": 4})),
    **named(
        "responses_incomplete_tool responses_incomplete_tool_stream",
        Situation(
            model={"max_output": 7},
            differs={**_ECHO, "max_output_tokens": "the scripted vendor does not repeat the limit"},
        ),
    ),
    **named("responses_incomplete_filter responses_incomplete_filter_stream", Situation(model="filter")),
    **named("responses_claude responses_claude_stream", Situation(model={"apis": ("messages", "chat")})),
    "responses_moonshot": Situation(model={"apis": ("chat",)}),
    **named("responses_cut_headers responses_silent", fault(_FIRST)),
    "responses_cut_before_first": fault(Fault.cut(2)),
    **named("responses_cut_mid responses_ends_early responses_done_early responses_server_retry_cut", fault(_MIDDLE)),
    "responses_cut_before_completed": fault(Fault.cut(1_000)),
    "responses_cut_in_tool": Situation(faults=(Fault.cut(5),), differs=_ECHO),
    "responses_cut_in_reasoning": Situation(model="think", faults=(Fault.cut(6),)),
    "responses_stalls": fault(_MIDDLE),
    **named("responses_empty_stream responses_200_html_stream responses_json_for_stream", fault("empty_stream")),
    "responses_only_done": fault("only_done"),
    "responses_error_first": _error(0),
    "responses_error_mid": _error(_EVENTS),
    "responses_error_nested_mid": _error(_EVENTS, "event"),
    "responses_error_chat_shape_mid": Situation(
        faults=(Fault.error_event(_EVENTS, style="untyped"),), differs={"error.code": "the scripted vendor had none"}
    ),
    "responses_error_429_mid": _error(2, message="Rate limit reached", code="rate_limit_exceeded"),
    "responses_error_then_failed": _error(2, "both"),
    "responses_error_then_failed_mid": _error(_EVENTS, "both"),
    "responses_failed": _error(0, "failed"),
    "responses_failed_first_stream": _error(2, "failed"),
    "responses_failed_rate": _error(0, "failed", message="Rate limit reached", code="rate_limit_exceeded"),
    "responses_failed_context_stream": _error(2, "failed", message="Too long", code="context_length_exceeded"),
    "responses_failed_stream": _error(_EVENTS, "failed"),
    "responses_200_error": fault(Fault.error_event(body=_BUSY)),
    **named("responses_no_output responses_no_output_stream", fault("empty_answer")),
    "responses_no_usage_stream": fault("usage:absent"),
    "responses_pings_before_headers": fault(Fault.slow(0.01, every=0.005)),
    "responses_pings_then_error": fault(
        Fault.error_event(style="bare", seconds=0.01, every=0.005, body={**_BROKEN, "type": "", "param": ""})
    ),
    **{
        f"responses_{case}": fault(case)
        for case in (
            *("vendor_429", "vendor_429_quota", "vendor_500", "vendor_503", "vendor_403", "vendor_502_html"),
            *("vendor_400_context", "vendor_400_filter", "vendor_refused", "vendor_reset", "server_retry_all_fail"),
            *("model_price_error", "system_cpu_overloaded"),
        )
    },
    **named("responses_vendor_429_stream", fault("vendor_429")),
    **named("responses_vendor_503_stream", fault("vendor_503")),
    **named("responses_vendor_401", fault("channel_auth")),
    **named("responses_200_empty responses_200_garbled", fault("vendor_200_empty")),
    "responses_200_html": fault("vendor_200_html"),
    "responses_200_short": fault("vendor_200_short"),
    "responses_stream_for_json": fault("vendor_200_html"),
}

_SCRIPTED = "the scripted vendor answered what no rule would: "
_OTHER_WIRE = "another vendor's wire is behind, which the gateway translates"
ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        """responses_gemini responses_gemini_429 responses_gemini_blocked responses_gemini_blocked_stream
            responses_gemini_cut responses_gemini_length responses_gemini_length_stream responses_gemini_safety_stream
            responses_gemini_stream responses_gemini_thought_stream responses_gemini_tools
            responses_gemini_tools_stream responses_gemini_turn responses_deepseek responses_deepseek_stream
            responses_openrouter responses_xai responses_new_api_behind""".split(),  # noqa: SIM905  (as many lines say less)
        _OTHER_WIRE,
    ),
    **dict.fromkeys(
        """responses_custom_tool_stream responses_tools_no_args_stream responses_reasoning_tools_stream
            responses_reasoning_text_stream responses_two_messages_stream responses_image_out_stream
            responses_reasoning_stream responses_reasoning_no_summary_stream responses_incomplete_reasoning
            responses_incomplete_reasoning_stream""".split(),  # noqa: SIM905  (as many lines say less)
        f"{_SCRIPTED}other items, or other parts of them",
    ),
    **dict.fromkeys(
        """responses_keepalive_stream responses_comments_stream responses_queued_stream responses_pings
            responses_garbled_stream responses_no_event_lines_stream responses_done_stream responses_cancelled
            responses_logprobs_stream responses_failed_type_stream""".split(),  # noqa: SIM905  (as many lines say less)
        f"{_SCRIPTED}events, comments or a status of its own",
    ),
    **dict.fromkeys(
        """responses_previous_id responses_reasoning_turn responses_extras responses_json_object
            responses_vendor_404_item responses_vendor_400_reasoning_item""".split(),  # noqa: SIM905  (as many lines say less)
        f"{_SCRIPTED}it refuses nothing that OpenAI refuses, or something else first",
    ),
    **dict.fromkeys(
        """responses_vendor_400 responses_vendor_400_chat_only responses_vendor_404_model responses_vendor_404_path
            responses_vendor_404_path_openai responses_vendor_405""".split(),  # noqa: SIM905  (as many lines say less)
        "an error of the vendor that `Fault.vendor` makes from its words",
    ),
    "chat_to_responses": "the gateway asks the vendor over another API and translates its answer",
    "responses_no_usage": "the gateway leaves the key out of a whole answer",
    "responses_compact": "a path of New API's own",
    "responses_input_tokens": "a path that New API does not serve",
    "responses_channel_auto_off": "the gateway had switched the channel off one request earlier",
}
