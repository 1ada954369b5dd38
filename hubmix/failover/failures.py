"""Every kind of failure: its scope, what to do, whose fault it is, words.

`table` says what each is recognised by. A row may name a kind as it stands here or a variant of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hubmix.errors import (
    AuthenticationError,
    BadRequestError,
    CapabilityError,
    ContentFilterError,
    ContextLengthError,
    EndpointError,
    HubConnectionError,
    HubTimeoutError,
    MalformedAnswerError,
    ModelNotFoundError,
    ModelUnavailableError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitedError,
    Scope,
    ServerError,
    StreamInterruptedError,
)
from hubmix.failover.evidence import Cooldown, Failure, Fault, Recovery

NONE = Cooldown()
COUNTED = Cooldown(Scope.MODEL)
ENDPOINT_COUNTED = Cooldown(Scope.ENDPOINT)


def _of_model(
    kind: str, action: Recovery, cooldown: Cooldown, fault: Fault, what: str, hint: str, **flags: Any
) -> Failure:
    return Failure(kind, Scope.MODEL, action, cooldown, fault, what, hint, **flags)


def _of_request(kind: str, action: Recovery, what: str, hint: str, **flags: Any) -> Failure:
    return Failure(kind, Scope.REQUEST, action, NONE, Fault.REQUEST, what, hint, **flags)


def _of_account(kind: str, action: Recovery, cooldown: Cooldown, what: str, hint: str, **flags: Any) -> Failure:
    return Failure(kind, Scope.ACCOUNT, action, cooldown, Fault.ACCOUNT, what, hint, **flags)


# -- the caller's request ------------------------------------------------------------------------------------------

BAD_REQUEST = _of_request(
    "bad_request", Recovery.FAIL,
    "The request to the model {model} was refused as invalid.",
    "Correct the request; another model would refuse it alike.",
    error=BadRequestError,
)  # fmt: skip
REFUSED = Failure(
    "refused", None, Recovery.NEXT, NONE, Fault.UNKNOWN,
    "The model {model} refused the request, for a reason that is not known here.",
    "Read the words of the refusal; if another model refuses too, correct the request.",
    ask_one_more=True, error=BadRequestError,
)  # fmt: skip
CONTEXT = _of_request(
    "context", Recovery.NEXT,
    "The request is longer than the context window of the model {model}.",
    "Shorten the messages, or add a fallback with a larger window.",
    larger_window_only=True, error=ContextLengthError,
)  # fmt: skip
POLICY = _of_request(
    "policy", Recovery.FAIL,
    "The model {model}, or a filter before it, refused the content of the request.",
    "Change the prompt; FailoverPolicy(fallback_on_content_filter=True) lets another model be asked.",
    opt_in=True, error=ContentFilterError,
)  # fmt: skip
HUB_FILTER = _of_request(
    "policy", Recovery.FAIL,
    "The hub's word filter refused the content of the request for the model {model}.",
    "Change the prompt; the filter stands before every model of this hub.",
    error=ContentFilterError,
)  # fmt: skip
LENGTH = _of_request(
    "length", Recovery.FAIL,
    "The model {model} used up max_tokens before it said anything.",
    "Raise max_tokens, or lower reasoning_effort.",
    keeps_answer=True, error=MalformedAnswerError,
)  # fmt: skip
TOTAL_TIMEOUT = Failure(
    "timeout", Scope.REQUEST, Recovery.FAIL, NONE, Fault.LIMIT,
    "total_timeout ran out before the model {model} had answered.",
    "Allow a longer total_timeout, or a shorter timeout per attempt so that another model gets its turn.",
    error=HubTimeoutError,
)  # fmt: skip
OUT_OF_TIME = Failure(
    "interrupted", Scope.REQUEST, Recovery.FAIL, NONE, Fault.LIMIT,
    "total_timeout ran out while the model {model} was still answering.",
    "What arrived is in `.partial`. Allow a longer total_timeout, or ask for less.",
    error=StreamInterruptedError,
)  # fmt: skip

# -- the model, and the vendor behind the hub ----------------------------------------------------------------------

CAPABILITY = _of_model(
    "capability", Recovery.NEXT, NONE, Fault.REQUEST,
    "The model {model} cannot do what the request asks (a parameter, a tool or a kind of input it does not support).",
    "Leave that out, or use a model that has it: hub.models.list(supports=...).",
    error=CapabilityError,
)  # fmt: skip
AMENDED = _of_model(
    "amended", Recovery.RETRY, NONE, Fault.VENDOR,
    "The vendor of the model {model} refused a part of the request that can be sent differently.",
    "Ask again: it is changed from now on.",
    amended=True, error=CapabilityError,
)  # fmt: skip
NOT_FOUND = _of_model(
    "not_found", Recovery.NEXT, Cooldown(Scope.MODEL, 300), Fault.REQUEST,
    "The model {model} does not exist here, or your key may not use it.",
    "Check the model ID against hub.models.list(); IDs are case-sensitive and differ from hub to hub.",
    error=ModelNotFoundError, suggests=True,
)  # fmt: skip
NOT_LISTED = replace(
    NOT_FOUND,
    what="The hub's list has no model {model}.",
    hint="Check the spelling; IDs are case-sensitive and differ from hub to hub.",
)
RETIRED = _of_model(
    "retired", Recovery.NEXT, Cooldown(Scope.MODEL, 300), Fault.REQUEST,
    "The model {model} has been retired.",
    "Use its successor, or another model of hub.models.list().",
    error=ModelNotFoundError, suggests=True,
)  # fmt: skip
WRONG_API = _of_model(
    "wrong_api", Recovery.NEXT, NONE, Fault.REQUEST,
    "The model {model} is not served over this API of the hub.",
    "Leave `api` at its default, or name the API that serves the model: hub.models.get(...).apis.",
    error=CapabilityError, other_api=True,
)  # fmt: skip
MALFORMED = _of_model(
    "malformed", Recovery.RETRY, NONE, Fault.VENDOR,
    "The model {model} wrote a malformed tool call or object, and its vendor refused it.",
    "Ask again, simplify the tools or the schema, or use another model; `.body` has what it wrote.",
    retries=1, error=MalformedAnswerError,
)  # fmt: skip
NO_CHANNEL = _of_model(
    "no_channel", Recovery.NEXT, Cooldown(Scope.MODEL, 60), Fault.HUB,
    "The hub has nobody who serves the model {model}: it does not know the model ID, or all its channels are down.",
    "Unless the model ID is mistyped: check it against hub.models.list(). Otherwise use another model, or wait.",
    error=ModelUnavailableError, suggests=True,
)  # fmt: skip
PERMISSION = _of_model(
    "permission", Recovery.NEXT, Cooldown(Scope.MODEL, 300), Fault.ACCOUNT,
    "The model {model} is not open to this call: your key may not use it, or its vendor refuses it.",
    "Give the key access to the model at the hub, or use another model.",
    error=PermissionDeniedError,
)  # fmt: skip
CHANNEL_AUTH = _of_model(
    "channel_auth", Recovery.NEXT, Cooldown(Scope.MODEL, 300), Fault.VENDOR,
    "The vendor of the model {model} refused the key that the hub holds there; it is not your key.",
    "Use another model, or tell the hub. Only if this base URL is the vendor itself, check your own key.",
    error=ModelUnavailableError,
)  # fmt: skip
# No retries: an account does not fill in seconds, although the vendor says 429.
CHANNEL_QUOTA = _of_model(
    "channel_quota", Recovery.NEXT, Cooldown(Scope.MODEL, 300), Fault.VENDOR,
    "The hub's own account at the vendor of the model {model} is empty; your balance is not concerned.",
    "Use another model, or tell the hub. Only if this base URL is the vendor itself, check your own balance.",
    retries=0, error=ModelUnavailableError,
)  # fmt: skip
UNREADABLE = _of_model(
    "unreadable", Recovery.NEXT, NONE, Fault.VENDOR,
    "The vendor of the model {model} refused the call, and the hub could not read why.",
    "Use another model; if all of them refuse, look for something unusual in the request.",
    error=ModelUnavailableError,
)  # fmt: skip
RATE_MODEL = _of_model(
    "rate_model", Recovery.NEXT, Cooldown(Scope.MODEL, 5, growing=True), Fault.VENDOR,
    "The vendor behind the hub is too busy with the model {model}.",
    "Try again later, or use another model.",
    waits=True, error=RateLimitedError, throttled=True,
)  # fmt: skip
RATE_FREE = replace(
    RATE_MODEL,
    fault=Fault.ACCOUNT,
    what="The hub's limit on its free models is used up, and {model} is one of them.",
    hint="Wait, or use a model that is not free: it is not under that limit.",
)
TRANSIENT = _of_model(
    "transient", Recovery.RETRY, COUNTED, Fault.VENDOR,
    "The vendor of the model {model} asked for another try.",
    "Try again.",
    error=ServerError,
)  # fmt: skip
SERVER = _of_model(
    "server", Recovery.RETRY, COUNTED, Fault.VENDOR,
    "The hub, or the vendor of the model {model} behind it, failed.",
    "Try again later, or use another model.",
    error=ServerError,
)  # fmt: skip
TIMEOUT = _of_model(
    "timeout", Recovery.NEXT, COUNTED, Fault.VENDOR,
    "The model {model} did not answer in time.",
    "Allow more time (timeout=, first_token_timeout=), stream the answer, or use a faster model.",
    error=HubTimeoutError,
)  # fmt: skip
RESET = _of_model(
    "reset", Recovery.RETRY, COUNTED, Fault.NETWORK,
    "The connection broke before the model {model} had answered.",
    "Try again; if it goes on, look at proxies on the way and at the hub's status page.",
    retries=1, error=HubConnectionError,
)  # fmt: skip
GARBLED = _of_model(
    "garbled", Recovery.RETRY, COUNTED, Fault.HUB,
    "What came back for the model {model} could not be read as an answer.",
    "Try again later, or use another model.",
    retries=1, error=MalformedAnswerError,
)  # fmt: skip
EMPTY = _of_model(
    "empty", Recovery.RETRY, COUNTED, Fault.VENDOR,
    "The model {model} ended its answer without saying anything.",
    "Try again, or use another model.",
    retries=1, keeps_answer=True, error=MalformedAnswerError,
)  # fmt: skip
INTERRUPTED = _of_model(
    "interrupted", Recovery.FAIL, COUNTED, Fault.HUB,
    "The stream of the model {model} broke off after part of the answer had been delivered.",
    "What arrived is in `.partial`; a stream is never restarted half-way. Ask again for a whole answer.",
    error=StreamInterruptedError,
)  # fmt: skip

BROKEN_OFF = _of_model(
    "interrupted", Recovery.NEXT, COUNTED, Fault.VENDOR,
    "The vendor of the model {model} broke the answer off and said so in its finish reason.",
    "Ask again, or use another model; what arrived is in `.partial`.",
    error=StreamInterruptedError,
)  # fmt: skip

# -- the key and the account ---------------------------------------------------------------------------------------

AUTH = _of_account(
    "auth", Recovery.FAIL, NONE,
    "The hub does not accept your API key (missing, wrong, expired, disabled or spent).",
    "Check api_key, or the environment variable it comes from, and the key's state at the hub.",
    error=AuthenticationError,
)  # fmt: skip
ACCOUNT = _of_account(
    "account", Recovery.FAIL, NONE,
    "The hub does not let your key or account make calls (banned, an IP address not allowed, or a channel suffix).",
    "Look at the key's settings at the hub: its state, its allowed addresses, and that nothing is appended to it.",
    error=PermissionDeniedError,
)  # fmt: skip
QUOTA = _of_account(
    "quota", Recovery.FAIL, Cooldown(Scope.ACCOUNT, 60),
    "Your account or key at the hub has too little money or quota left for this call of the model {model}.",
    "Top up at the hub, raise the key's quota, or ask for less with max_tokens (hubs reserve its price in advance).",
    free_models_only=True, error=QuotaExceededError,
)  # fmt: skip
RATE_ACCOUNT = _of_account(
    "rate_account", Recovery.RETRY, Cooldown(Scope.ACCOUNT, 1, growing=True),
    "You have sent more requests than the hub allows your key or account in this time.",
    "Send fewer at once, or wait; another model of the same hub counts against the same limit.",
    error=RateLimitedError, throttled=True,
)  # fmt: skip

# -- the way to the hub --------------------------------------------------------------------------------------------

CONNECT = Failure(
    "connect", Scope.ENDPOINT, Recovery.RETRY, ENDPOINT_COUNTED, Fault.NETWORK,
    "The hub could not be reached for the model {model}.",
    "Check the base URL, the network, the proxy and the certificates; if they are right, the hub is down.",
    error=HubConnectionError,
)  # fmt: skip
HUB_OVERLOADED = Failure(
    "hub_overloaded", Scope.ENDPOINT, Recovery.RETRY, ENDPOINT_COUNTED, Fault.HUB,
    "The hub itself is overloaded and answers no call, whatever the model.",
    "Wait and try again, or use another hub; another model of this one adds to its load.",
    least_wait=2.0, error=ServerError,
)  # fmt: skip
OWN_DELAY = Failure(
    "own_delay", None, Recovery.RETRY, NONE, Fault.LIMIT,
    "This process was too busy, or its time limit too short, to reach the hub for the model {model}.",
    "Allow a longer timeout, or run less at once in this process; the hub is not at fault.",
    error=HubTimeoutError,
)  # fmt: skip
PROXY = Failure(
    "connect", Scope.ENDPOINT, Recovery.RETRY, NONE, Fault.NETWORK,
    "The proxy on the way to the hub failed, so the model {model} could not be asked.",
    "Check HTTPS_PROXY, HTTP_PROXY and the proxy itself; NO_PROXY leaves a host out.",
    error=HubConnectionError,
)  # fmt: skip
POOL = Failure(
    "connect", Scope.ENDPOINT, Recovery.RETRY, NONE, Fault.REQUEST,
    "All connections to the hub were in use for too long, so the model {model} could not be asked.",
    "Make fewer calls at once, or give a client with a larger connection pool.",
    error=HubConnectionError,
)  # fmt: skip
ENDPOINT = Failure(
    "endpoint", Scope.ENDPOINT, Recovery.FAIL, NONE, Fault.REQUEST,
    "There is no such API at this base URL (asked for the model {model}).",
    "Does the base URL end in /v1? And does this hub serve that kind of call?",
    error=EndpointError,
)  # fmt: skip
