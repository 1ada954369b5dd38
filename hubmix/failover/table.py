"""The failure table: what each failure of a hub is recognised by.

Rows are tried from top to bottom and the first that matches decides, so a row may rely on what stands above it. The
order of evidence is: what the transport saw, who speaks, the code or type in the body, the status, the words. New API
reports many client errors as HTTP 500, so codes come before statuses; the hubs' own errors often have no code at all,
and then only the words tell an empty wallet from a wrong key.

Sources in the comments: NAPI = QuantumNous/new-api, DOCS = docs.aihubmix.com, and "recorded" = the recordings made
through three running gateways, in `cassettes/gateway`, by the name of the case.
"""

from __future__ import annotations

import re
from dataclasses import replace

from hubmix.failover import failures as kind
from hubmix.failover.evidence import SAID, Row


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


def _http(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


# Words of a limit on requests or tokens in a time: neither an overflow nor an empty account, whatever else they say.
_THROTTLED = _words(
    r"throttl",
    r"rate[ _-]?limit",
    r"too many requests",
    r"(requests?|tokens?|queries) (per|/) ?(second|minute|min|hour|day)",
    r"per[ _](second|minute)",
    r"concurren\w+ (request )?limit|too many concurrent",
    r"\b[RT]PM\b",
    r"please wait",
    r"(try again|retry) (in|after) \d",
    r"请求(过于|太)?频繁|速率|每分钟",
)

# An account that is empty, in the words of the hubs and of a dozen vendors.
_EMPTY_ACCOUNT = _words(
    r"\b(balance|credits?|funds)\b.{0,40}\b(insufficient|exhausted|used up|depleted|too low|not enough|overdue)\b",
    r"\b(insufficient|not enough|out of|overdue|negative) (account |available |paid |user |token )*"
    r"(balance|credits?|quota|funds)\b",
    r"\b(used|exhausted|spent|consumed) (all|up)\b.{0,30}\bcredits?\b",
    r"\b(not|n't) have (enough|sufficient) (balance|credits?|funds|quota)\b",
    r"\bexceeded\b.{0,40}\bcredits?\b",
    r"\b(spend(ing)?|budget) (limit|cap)\b",
    r"\bkey limit exceeded\b",
    r"\bbudget (has been |was |is )?exceeded",
    r"\bquota\b.{0,20}\b(exhausted|used up)\b",
    r"exceeded your current quota",
    r"account is in arrears|in good standing|\bpayment required\b",
    r"(user|token) quota is not enough",
    r"pre-?consumed? (token )?quota failed",
    r"TokenStatusExhausted",
    r"(额度|余额|配额)(已经?)?(不足|用尽|耗尽|用完)|欠费|预扣费(额度)?失败",
)
_LOAD_BALANCER = r"load.?balanc"
_NO_EMPTY_ACCOUNT = re.compile(f"{_THROTTLED.pattern}|{_LOAD_BALANCER}", re.IGNORECASE)

# The states of a key, in the words of the New API family: they have no code, and one-hub's type is not New API's.
_KEY_STATE = _words(
    r"无效的令牌|未提供令牌|令牌状态不可用|令牌已过期(?!或)|令牌验证失败",
    r"\binvalid token\b(?! (type|count))",
    r"token (status (is )?unavailable|has expired)",
    r"no key provided",
    r"^not authenticated",
)

# NAPI types/error.go and its older names, for a request that was refused before it reached a vendor.
_INVALID = _set(
    "invalid_request invalid_text_request invalid_embedding_request invalid_documents invalid_query"
) | _set("bad_request_body read_request_body_failed prompt_missing count_token_failed")

_TRANSPORT = (
    # The caller's own limit: the model did nothing wrong.
    Row(
        "total_timeout after content was delivered",
        kind.OUT_OF_TIME, causes=_set("total_timeout"), phases=_set("committed"),
    ),
    # A second answer glued to half of a first corrupts tool calls, so this is never repeated.
    Row(
        "after content was delivered: cut, stalled, an error event, bad JSON, no finish_reason",
        kind.INTERRUPTED, phases=_set("committed"),
        causes=SAID
        | _set("cut reset read_timeout idle_timeout first_token_timeout no_finish undecodable html no_choices")
        | _set("empty_stream empty_answer failed_finish"),
    ),
    Row("a refusal that a learned amendment answers", kind.AMENDED, causes=_set("amended")),
    Row(
        "a finish reason that names a failure: `error`, `network_error`, `abort` …",
        kind.BROKEN_OFF, causes=_set("failed_finish"),
    ),
    Row("total_timeout", kind.TOTAL_TIMEOUT, causes=_set("total_timeout")),
    # Our own pool says nothing about the hub, so its breaker is left alone.
    Row("no free connection in the client's own pool", kind.POOL, causes=_set("pool_timeout")),
    Row("a connect timeout that this process caused", kind.OWN_DELAY, causes=_set("own_delay")),
    Row("a failure of the proxy", kind.PROXY, causes=_set("proxy")),
    Row("DNS, connection refused, TLS, connect timeout", kind.CONNECT, causes=_set("refused dns tls connect_timeout")),
    Row("reset while connecting", kind.CONNECT, causes=_set("reset cut"), phases=_set("connect")),
    # Never the same model again: the vendor may go on with the first request, and bill both.
    Row(
        "no answer, no first token or no further token in time",
        kind.TIMEOUT, causes=_set("read_timeout first_token_timeout idle_timeout"),
    ),
    Row("reset before the answer, or cut before any content", kind.RESET, causes=_set("reset cut")),
    # NAPI router/web-router.go answers an unknown path with its web page and 200. Recorded: vendor_200_*, stream_empty.
    Row(
        "200 with HTML, undecodable JSON, no choices; a stream with nothing in it",
        kind.GARBLED, causes=_set("html undecodable no_choices empty_stream no_finish failed_finish"),
    ),
    # Recorded: gemini_length. A small max_tokens can go into reasoning altogether.
    Row("finish_reason length, no output", kind.LENGTH, causes=_set("empty_answer"), finish_reasons=_set("length")),
    Row(
        "finish_reason content_filter, no output",
        replace(kind.POLICY, keeps_answer=True), causes=_set("empty_answer"), finish_reasons=_set("content_filter"),
    ),
    # Recorded: claude_empty, gemini_malformed_call, vendor_200_null_content.
    Row(
        "finish_reason stop (or MALFORMED_FUNCTION_CALL), no content, no tool call, no refusal",
        kind.EMPTY, causes=_set("empty_answer"),
    ),
)  # fmt: skip

_CODES_BEFORE_STATUS = (
    # The hub's own filter, often as HTTP 500 (NAPI types/error.go): it stands before every model alike.
    Row(
        "`sensitive_words_detected`, any status",
        kind.HUB_FILTER, codes=_set("sensitive_words_detected"),
        words=_words(r"sensitive words? detected", r"包含敏感词", r"检测到敏感词"),
    ),
    # In the words of OpenAI, Anthropic, OpenRouter, Ollama, llama.cpp, Gemini, Qwen, Kimi, GLM, SGLang, SiliconFlow,
    # xAI, Together and GitHub. Bedrock and Anthropic tell a limit per minute with "tokens" too: see `unless`.
    # Recorded: vendor_400_context.
    Row(
        "context length exceeded",
        kind.CONTEXT, statuses=_http(0, 400, 413, 422, 500), unless=_THROTTLED,
        codes=_set("context_length_exceeded exceed_context_size_error context_window_exceeded prompt_too_long")
        | _set("text_too_long input_too_long model_context_window_exceeded tokens_limit_reached 1261"),
        words=_words(
            r"maximum (context|prompt) length",
            r"context (length|window|size|limit).{0,40}exceed",
            r"context.{0,30}overflow",
            r"exceed\w*.{0,60}(context|maximum (number of )?(input )?tokens|input token)",
            r"exceed\w* (the )?(model('s)? )?(max(imum)? )?((message|prompt|input|model) )?(token limit|tokens|length)",
            r"longer than the model's context",
            r"must be less than max_seq_len",
            r"\binputs?`? tokens? \+ `?max_new_tokens",
            r"max input characters",
            r"\b(prompt|input|request|messages?) (is |are )?too long",
            r"\b(prompt|input) (\([^)]*\) )?(tokens )?(is |are )?too (long|large)",
            r"\btoken(s| count)? exceeds? (the )?(limit|maximum)",
            r"prompt token count",
            r"too many (input )?tokens\b",
            r"reduce (the length of|your prompt)",
            r"range of input length should be",
            r"(messages|input)\S*content\S*: string too long",
            r"(超出|超过).{0,12}(上下文|长度|token)",
            r"(上下文|输入长度).{0,12}(超出|超过)",
            r"(输入|上下文|提示词?).{0,8}(过长|太长)",
        ),
    ),
    # AIHubMix and New API share the first two; the status is 403, once 400, and the docs of AIHubAPI say 402. one-hub
    # gives 429. The others are Alibaba's, Volcengine's, sub2api's and LiteLLM's.
    Row(
        "`insufficient_user_quota`, `pre_consume_token_quota_failed`, `budget_exceeded`, `Arrearage` …, any status",
        kind.QUOTA,
        codes=_set("insufficient_user_quota pre_consume_token_quota_failed budget_exceeded arrearage")
        | _set("accountoverdueerror insufficient_balance"),
    ),
    # A spent key is a 401 with words alone (recorded: key_spent, the older two); AIHubMix: DOCS HTTP-Codes.
    Row(
        'the hub: "该令牌额度已用尽", TokenStatusExhausted, "account balance is insufficient", "额度不足" …',
        kind.QUOTA, speaker="hub", words=_EMPTY_ACCOUNT, unless=_NO_EMPTY_ACCOUNT,
    ),
    # Recorded: vendor_429_quota; the older gateways replace the words, the code stays.
    Row(
        "a vendor's `insufficient_quota` (429)",
        kind.CHANNEL_QUOTA, speaker="vendor",
        codes=_set("insufficient_quota billing_hard_limit_reached billing_not_active exceeded_current_quota_error"),
    ),
    Row(
        "a vendor's words for an empty account",
        kind.CHANNEL_QUOTA, speaker="vendor", words=_EMPTY_ACCOUNT, unless=_NO_EMPTY_ACCOUNT,
    ),
    Row("402; `insufficient_quota` of a base URL that is no hub", kind.QUOTA, codes=_set("insufficient_quota")),
    Row("any other 402", kind.QUOTA, statuses=_http(402)),
    # NAPI's overload guard answers every call so, by default from 90 % CPU; its list of models still answers.
    Row(
        "`system_cpu_overloaded`, `system_memory_overloaded`, `system_disk_overloaded`",
        kind.HUB_OVERLOADED, codes=_set("system_cpu_overloaded system_memory_overloaded system_disk_overloaded"),
    ),
    Row(
        'the hub: "overloaded"',
        kind.HUB_OVERLOADED, own_type=True, statuses=_http(0, 429, 500, 503, 529),
        words=_words(r"\boverloaded\b", r"系统(繁忙|过载)"), unless=_words(r"upstream|provider|channel|model"),
    ),
)  # fmt: skip

_WHOSE_KEY = (
    # The hub passes on how the vendor refused the hub's key (recorded: channel_auto_off, gemini_400).
    Row(
        'a vendor\'s `invalid_api_key`, `authentication_error`, "API key not valid" (400, 401, 403)',
        kind.CHANNEL_AUTH, speaker="vendor", statuses=_http(0, 400, 401, 403),
        codes=_set("invalid_api_key authentication_error api_key_invalid channel:invalid_key"),
        words=_words(
            r"api key not valid",
            r"(incorrect|invalid) api key",
            r"api key.{0,40} (is|was) (invalid|expired|disabled)",
            r"authentication fails",
            r"login fail",
            r"身份验证失败|令牌已过期或验证不正确",
        ),
    ),
    # Recorded: no_key, bad_key, key_expired, key_disabled.
    Row("401 of the hub: its own type, or neither type nor code", kind.AUTH, speaker="hub", statuses=_http(401)),
    Row(
        "the family's own words for a key's state, whatever the type",
        kind.AUTH, statuses=_http(0, 401), words=_KEY_STATE,
    ),
    Row("any other 401", kind.CHANNEL_AUTH, statuses=_http(401)),
    # Recorded: account_banned, key_ip_denied; DOCS HTTP-Codes for AIHubMix.
    Row(
        '403 of the hub: banned ("封禁"), IP not allowed (`access_denied`, "IP 不在", "指定网段")',
        kind.ACCOUNT, speaker="hub", statuses=_http(403),
        words=_words(
            r"\bbanned\b",
            r"封禁",
            r"suspended",
            r"\bIP\b.{0,30}not (allowed|in)",
            r"IP 不在",
            r"指定网段",
            r"无权访问.{0,60}分组",
        ),
    ),
    Row(
        "403 `access_denied` with the hub's own type",
        kind.ACCOUNT, own_type=True, statuses=_http(403), codes=_set("access_denied"),
    ),
    # A channel suffix on the key. Recorded: key_with_channel; other wordings: NAPI middleware/auth.go, DOCS HTTP-Codes.
    Row(
        '400, 403, 503 "无效的渠道", "Invalid channel"',
        kind.ACCOUNT, statuses=_http(400, 403, 503),
        words=_words(r"无效的渠道", r"invalid channel", r"不支持指定渠道", r"to specify channel", r"^key error"),
    ),
)  # fmt: skip

_WHAT_IS_WRONG = (
    # AIHubMix answers 404 `model_retired` for a retired ID and 410 for a removed one (reported, 2026).
    Row(
        '410; `model_retired`, `model_decommissioned`, "has been retired / deprecated / decommissioned"',
        kind.RETIRED, statuses=_http(0, 400, 403, 404, 410, 422, 500, 503),
        unless=_words(r"parameter|argument|\bfield\b|参数"),
        codes=_set("model_retired model_decommissioned model_deprecated model_removed model_discontinued"),
        words=_words(
            r"\bmodel\b.{0,100}\b(has been|have been|is|was|are) (now )?"
            r"(retired|deprecated|decommissioned|removed|sunset|discontinued|shut ?down|taken offline)",
            r"\bmodel\b.{0,100}\b(no longer (available|supported|served|offered)|end[ -]of[ -]life)",
            r"\b(has been|was) (retired|deprecated|decommissioned|sunset|discontinued) (on|in|as of|since)\b",
            r"\bmodels/\S+ is no longer (available|supported)",
            r"模型.{0,60}已(经)?(下线|停用|弃用|下架|退役)",
        ),
    ),
    Row("any other 410", kind.RETIRED, statuses=_http(410)),
    # Groq and kin refuse what their own model wrote, and give it in `failed_generation`.
    Row(
        "`tool_use_failed`, `json_validate_failed` and kin: the model wrote a malformed call or object",
        kind.MALFORMED, statuses=_http(0, 400, 422, 500),
        codes=_set("tool_use_failed json_validate_failed output_parse_failed tool_call_validation_failed"),
        words=_words(
            r"failed to call a function",
            r"failed to (generate|validate) JSON",
            r"failed_generation",
            r"malformed (function|tool)[_ ]call",
            r"(produced|generated) (an )?invalid (function|tool) call",
            r"failed to parse (the )?(function|tool) call",
        ),
    ),
    Row(
        'only over another API: "only supported in v1/responses", `convert_request_failed`, `get_adaptor_failed`',
        kind.WRONG_API, statuses=_http(0, 400, 404, 405, 422, 500, 501),
        codes=_set("convert_request_failed get_adaptor_failed unsupported_api_for_model"),
        words=_words(
            r"only supported in v1/",
            r"not supported in the v1/(chat/completions|responses|completions) endpoint",
            r"get_adaptor_failed",
            r"(not |in)accessible (via|through) the /?(v1/)?(chat/completions|responses|messages) (endpoint|api)",
            r"createModelResponse is not supported",
            r"(use|via|through) (the )?/?v1/(responses|messages|chat/completions) (endpoint|api)? ?instead",
            r"v1/(chat/completions|responses|messages) is not supported\b",
            r"(not|n't) support(ed)?.{0,20}\bresponses api\b|only supports? the responses api",
            r"chatCompletion operation does not work with the specified model",
            r"\buse (the )?(/?v1/responses|responses api)\b",
        ),
    ),
    # Recorded: vendor_400_filter, gemini_blocked_prompt. "Content Exists Risk" is DeepSeek's, 1301 Zhipu's.
    Row(
        "content filter, policy, moderation, `prompt_blocked` (400, 403)",
        kind.POLICY, statuses=_http(0, 400, 403, 422, 451),
        codes=_set("content_filter content_policy_violation prompt_blocked responsibleaipolicyviolation moderation")
        | _set("moderation_blocked data_inspection_failed content_violation 1301"),
        words=_words(
            r"content management policy",
            r"content[ _]policy",
            r"usage policies",
            r"flagged (by|as|for)",
            r"safety system",
            r"request blocked by",
            r"content exists risk",
            r"inappropriate content",
            r"(内容|输入).{0,10}(敏感|违规|不安全)",
        ),
    ),
    # Recorded: model_missing. The older gateways answer with the 503 of an unknown model, and an empty name in it.
    Row(
        "no model named in the request",
        kind.BAD_REQUEST, statuses=_http(400, 503),
        words=_words(r"model name (not specified|cannot be empty)", r"对于模型\s+无可用渠道", r"未指定模型名称"),
    ),
    # "Incorrect model ID" comes as 503 in DOCS HTTP-Codes and as 400 in public reports.
    Row(
        'model not found; "Incorrect model ID" (400, 404, 503); a vendor\'s "no endpoints found", ModelNotOpen',
        kind.NOT_FOUND, statuses=_http(0, 400, 403, 404, 422, 503),
        codes=_set("modelnotopen model_not_available resource_not_found_error")
        | _set("invalidendpointormodel.notfound invalidendpointormodel.modelidaccessdisabled"),
        words=_words(
            r"incorrect model id",
            r"\bmodels?[ /:]*[`'\"]?[^\s`'\"]{0,100}[`'\"]? *(does not exist|do not exist|(is |was )?not found)",
            r"not a valid model|\bmodel not exist|not found the model|unable to access model",
            r"model identifier is invalid",
            r"unsupported model\b|\bmodel (is )?not supported\b$|not support model",
            r"(invalid|unknown) model\b",
            r"supported api model names are",
            r"no endpoints found (for|matching)",
            r"no (allowed )?providers? (is |are )?available",
            r"模型.{0,60}不存在",
        ),
    ),
    # A listed model that the operator has not priced yet (NAPI; recorded as 400).
    Row("`model_price_error`, any status", kind.NO_CHANNEL, codes=_set("model_price_error")),
    # NAPI middleware/distributor.go: an unknown model is a 503, in older ones without code. Recorded: model_unknown.
    Row(
        '503 `model_not_found`, "No available channel", "无可用渠道"; `get_channel_failed`',
        kind.NO_CHANNEL, statuses=_http(0, 500, 503),
        words=_words(r"no available channel", r"无可用渠道", r"no_valid_channel"),
        codes=_set("model_not_found get_channel_failed no_valid_channel_error invalid_api_type")
        | _set("channel:no_available_key channel:param_override_invalid channel:header_override_invalid")
        | _set(
            "channel:model_mapped_error channel:aws_client_error channel:response_time_exceeded channel:invalid_key"
        ),
    ),
    Row(
        "404 `model_not_found`",
        kind.NOT_FOUND, statuses=_http(400, 403, 404, 422),
        codes=_set("model_not_found invalid_model deploymentnotfound not_found_error"),
    ),
)  # fmt: skip

_HOW_MUCH = (
    # The older gateways replace the words of every vendor's 429, and none passes Retry-After on (recorded: vendor_429).
    # AIHubMix words a busy model "The xx model Too many requests" and "rate limited by provider" (DOCS HTTP-Codes).
    Row(
        '429 of the vendor (`rate_limit_exceeded`, "负载已饱和", "Too many requests"); also as 413, 500, 503, 529',
        kind.RATE_MODEL, statuses=_http(0, 413, 429, 500, 503, 529),
        words=_words(r"负载已饱和", r"too many requests", r"rate.limited (by|upstream)"),
        codes=_set("rate_limit_exceeded rate_limit_error overloaded_error too_many_requests")
        | _set("limitation throttling throttlingexception 1302 1303 1305"),
    ),
    # Recorded: limit_account, limit_ip. An HTML page is a proxy before the hub, which counts the caller, not the model.
    Row("429 of the hub: empty body", kind.RATE_ACCOUNT, statuses=_http(429), empty_body=True),
    Row(
        "429 of the hub: its own type, no code", kind.RATE_ACCOUNT, statuses=_http(429), own_type=True, empty_code=True
    ),
    # NAPI middleware/model-rate-limit.go.
    Row('429 "您已达到…请求数限制"', kind.RATE_ACCOUNT, statuses=_http(0, 429), words=_words(r"您已达到.{0,20}限制")),
    # Bedrock's "Too many tokens, please wait" and Anthropic's "input tokens per minute" also come inside a stream or as
    # 500, without a type.
    Row(
        'words of a limit per time: "throttled", "rate limit", "tokens per minute"',
        kind.RATE_MODEL, statuses=_http(0, 400, 403, 413, 429, 500, 503, 529),
        codes=_set("limit_requests limit_tokens"), words=re.compile(f"{_THROTTLED.pattern}|at capacity", re.IGNORECASE),
    ),
    Row("any other 429, 529", kind.RATE_MODEL, statuses=_http(429, 529)),
)  # fmt: skip

_BY_STATUS = (
    # Recorded: key_model_denied, vendor_403.
    Row("any other 403: no access to the model, group denied, country refused", kind.PERMISSION, statuses=_http(403)),
    # one-hub gives 404 for a model that the key may not use.
    Row(
        '404 of the hub: "not supported for current token"',
        kind.PERMISSION, own_type=True, statuses=_http(404), words=_words(r"for current token", r"令牌.{0,20}无权"),
    ),
    # Recorded: vendor_400_max_tokens.
    Row(
        'unsupported parameter; "does not support" tools, images, json_schema; what only this model refuses',
        kind.CAPABILITY, statuses=_http(0, 400, 404, 413, 415, 422, 500),
        codes=_set("unsupported_parameter unsupported_value unsupported_content unknown_parameter extra_forbidden"),
        words=_words(
            r"(does|do)(es)? ?n.t support|(does|do) not support",
            r"\b(is|are)(n't| not) supported\b",
            r"\b(property|parameter|field|argument) \S+ is unsupported",
            r"not enabled for this model",
            r"unknown variant `(image_url|file|video_url|input_audio)`",
            r"\bunsupported\b(?! model)",
            r"operation is unsupported",
            r"no endpoints found that support",
            r"cannot both be (specified|set|used)",
            r"\bonly\b.{0,40}\b(is|are) (allowed|supported)\b",
            r"\bonly .{0,40}(allowed|supported) (for|by|with) (this model|certain models|some models)",
            r"\bnot (available|allowed|permitted) (for|with|on|in) this model",
            r"\bmust be \S+ (for this model|when thinking)",
            r"max_(completion_|output_)?tokens\b.{0,30}(must be (less|at most|<)|exceeds)",
            r"\bat most 0 (image|audio|video)",
            r"does not have .{0,20}(capability|vision)",
            r"only supports? stream",
            r"non-?streaming calls?|streaming is (strongly )?(required|recommended)|requires? (stream|streaming)\b",
            r"max_(completion_|output_)?tokens.{0,20}(is )?too (large|big|high)",
            r"range of max_(completion_|output_)?tokens",
            r"maximum allowed number of output tokens",
            r"supports at most \d+ (completion|output) tokens",
            r"unknown (parameter|argument|name)\b|unrecognized (request )?(parameter|argument)|unexpected keyword",
            r"extra inputs are not permitted",
            r"不支持.{0,20}(参数|工具|图片|函数|模型)",
        ),
    ),
    # The vendor's refusal was HTML, a string or FastAPI's detail (recorded: vendor_error_*). A 404 of this kind is the
    # vendor's as well: the hub was reached. one-api says it, with 200, of a JSON answer to a stream.
    Row(
        "400, 404, 405, 413, 422 with `bad_response_status_code` (code or type)",
        kind.UNREADABLE, statuses=_http(0, 400, 404, 405, 413, 422), codes=_set("bad_response_status_code"),
    ),
    # NAPI types/error.go: 500 is the default status of a refused request (recorded: messages_missing, wrong_type).
    Row("the hub's own 400, 413, 422", kind.BAD_REQUEST, own_type=True, statuses=_http(400, 413, 422)),
    Row(
        "the hub's own `invalid_request` and its older names, even as 500",
        kind.BAD_REQUEST, own_type=True, statuses=_http(500), codes=_INVALID,
    ),
    Row(
        "400, 413, 422 that says what is wrong in the request: `messages`, the JSON, a schema",
        kind.BAD_REQUEST, statuses=_http(400, 413, 422),
        codes=_set("invalid_text_request invalid_embedding_request invalid_documents invalid_query prompt_missing"),
        words=_words(
            r"\b(field )?`?'?(messages|input|documents|query)`?'? (is required|(is|must not be|cannot be) empty)",
            r"at least one message",
            r"is too short - 'messages'|invalid value for 'messages'",
            r"role 'tool' must be|must be followed by tool messages|without `?tool_result",
            r"missing required parameter:? '?(messages|input|tools|tool)",
            r"json: cannot unmarshal|invalid character .{0,40} looking for|unexpected end of json",
            r"(could not|cannot|failed to|unable to) (parse|decode) (the )?(JSON|request|body)",
            r"invalid json\b(?! schema)|not valid json",
            r"invalid schema for",
        ),
    ),
    # "Invalid URL (POST /v1/...)" of all three gateways (recorded: path_unknown, responses_api).
    Row(
        '404, 405 about the path ("Invalid URL")',
        kind.ENDPOINT, statuses=_http(404, 405), codes=_set("unknown_url"),
        words=_words(
            r"invalid url", r"^(the )?(requested )?(url|path|route|page|resource)? ?(was )?not found\.?$", r"^404\b"
        ),
    ),
    Row("404, 405 without a JSON body", kind.ENDPOINT, statuses=_http(404, 405), not_json=True, empty_code=True),
    Row("501, or a redirect", kind.ENDPOINT, statuses=_http(301, 302, 303, 307, 308, 501)),
    Row("408, 409", kind.TRANSIENT, statuses=_http(408, 409, 425)),
    # 524 is Cloudflare's, after 100 s without a byte (DOCS HTTP-Codes).
    Row("504, 524", kind.TIMEOUT, statuses=_http(504, 524)),
    Row("any other 4xx: nobody knows what it means", kind.REFUSED, statuses=frozenset(range(400, 500))),
    Row(
        "`invalid_request` and its older names as 500: nobody knows",
        kind.REFUSED, statuses=_http(0, 500), codes=_INVALID,
    ),
    Row("any other 5xx; an error object in a 200 answer that no row above knows", kind.SERVER),
)  # fmt: skip

TABLE: tuple[Row, ...] = _TRANSPORT + _CODES_BEFORE_STATUS + _WHOSE_KEY + _WHAT_IS_WRONG + _HOW_MUCH + _BY_STATUS
"""The rows in the order in which they are tried: the first that fits an evidence says what the failure is."""
