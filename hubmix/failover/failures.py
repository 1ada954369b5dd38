"""Every kind of failure there is: whom it concerns, what to do, whose fault it is, and the words for it.

`failure_table` says what each is recognised by. A row may name a kind as it stands here or a variant of it.
"""

from __future__ import annotations

from typing import Any

from hubmix.errors import Scope
from hubmix.failover.evidence import Action, Cooldown, Failure, Fault, Target

NONE = Cooldown()
COUNTED = Cooldown(Target.MODEL)
ENDPOINT_COUNTED = Cooldown(Target.ENDPOINT)


def _of_model(
    kind: str, action: Action, cooldown: Cooldown, fault: Fault, what: str, hint: str, **flags: Any
) -> Failure:
    return Failure(kind, Scope.MODEL, action, cooldown, fault, what, hint, **flags)


def _of_request(kind: str, action: Action, what: str, hint: str, **flags: Any) -> Failure:
    return Failure(kind, Scope.REQUEST, action, NONE, Fault.REQUEST, what, hint, **flags)


def _of_account(kind: str, action: Action, cooldown: Cooldown, what: str, hint: str, **flags: Any) -> Failure:
    return Failure(kind, Scope.ACCOUNT, action, cooldown, Fault.ACCOUNT, what, hint, **flags)


# -- the caller's request ------------------------------------------------------------------------------------------

BAD_REQUEST = _of_request(
    "bad_request",
    Action.FAIL,
    "The request to the model {model} was refused as invalid.",
    "Correct the request; another model would refuse it alike.",
)
CONTEXT = _of_request(
    "context",
    Action.NEXT,
    "The request is longer than the context window of the model {model}.",
    "Shorten the messages, or add a fallback with a larger window.",
    larger_window_only=True,
)
POLICY = _of_request(
    "policy",
    Action.FAIL,
    "The model {model}, or a filter before it, refused the content of the request.",
    "Change the prompt; FailoverPolicy(fallback_on_content_filter=True) lets another model be asked.",
    opt_in=True,
)
HUB_FILTER = _of_request(
    "policy",
    Action.FAIL,
    "The hub's word filter refused the content of the request for the model {model}.",
    "Change the prompt; the filter stands before every model of this hub.",
)
LENGTH = _of_request(
    "length",
    Action.FAIL,
    "The model {model} used up max_tokens before it said anything.",
    "Raise max_tokens, or lower reasoning_effort.",
    keeps_answer=True,
)
TOTAL_TIMEOUT = Failure(
    "timeout",
    Scope.REQUEST,
    Action.FAIL,
    NONE,
    Fault.LIMIT,
    "total_timeout ran out before the model {model} had answered.",
    "Allow a longer total_timeout, or a shorter timeout per attempt so that another model gets its turn.",
)
OUT_OF_TIME = Failure(
    "interrupted",
    Scope.REQUEST,
    Action.FAIL,
    NONE,
    Fault.LIMIT,
    "total_timeout ran out while the model {model} was still answering.",
    "What arrived is in `.partial`. Allow a longer total_timeout, or ask for less.",
)

# -- the model, and the vendor behind the hub ----------------------------------------------------------------------

CAPABILITY = _of_model(
    "capability",
    Action.NEXT,
    NONE,
    Fault.REQUEST,
    "The model {model} cannot do what the request asks (a parameter, a tool or a kind of input it does not support).",
    "Leave that out, or use a model that has it: hub.models.list(supports=...).",
)
STREAM_OPTIONS = _of_model(
    "capability",
    Action.RETRY,
    NONE,
    Fault.VENDOR,
    "The vendor of the model {model} does not take `stream_options`, which the hub needs to count tokens.",
    "Ask again: it is left out from now on.",
    amended=True,
)
NOT_FOUND = _of_model(
    "not_found",
    Action.NEXT,
    Cooldown(Target.MODEL, 300),
    Fault.REQUEST,
    "The model {model} does not exist here, or your key may not use it.",
    "Check the model ID against hub.models.list(); IDs are case-sensitive and differ from hub to hub.",
)
NO_CHANNEL = _of_model(
    "no_channel",
    Action.NEXT,
    Cooldown(Target.MODEL, 60),
    Fault.HUB,
    "The hub has nobody who serves the model {model}: it does not know the model ID, or all its channels are down.",
    "Unless the model ID is mistyped: check it against hub.models.list(). Otherwise use another model, or wait.",
)
PERMISSION = _of_model(
    "permission",
    Action.NEXT,
    Cooldown(Target.MODEL, 300),
    Fault.ACCOUNT,
    "The model {model} is not open to this call: your key may not use it, or its vendor refuses it.",
    "Give the key access to the model at the hub, or use another model.",
)
CHANNEL_AUTH = _of_model(
    "channel_auth",
    Action.NEXT,
    Cooldown(Target.MODEL, 300),
    Fault.VENDOR,
    "The vendor of the model {model} refused the key that the hub holds there; it is not your key.",
    "Use another model, or tell the hub. Only if this base URL is the vendor itself, check your own key.",
)
CHANNEL_QUOTA = _of_model(
    "channel_quota",
    Action.NEXT,
    Cooldown(Target.MODEL, 300),
    Fault.VENDOR,
    "The hub's own account at the vendor of the model {model} is empty; your balance is not concerned.",
    "Use another model, or tell the hub.",
)
UNREADABLE = _of_model(
    "unreadable",
    Action.NEXT,
    NONE,
    Fault.VENDOR,
    "The vendor of the model {model} refused the call, and the hub could not read why.",
    "Use another model; if all of them refuse, look for something unusual in the request.",
)
RATE_MODEL = _of_model(
    "rate_model",
    Action.NEXT,
    Cooldown(Target.MODEL, 5, growing=True),
    Fault.VENDOR,
    "The vendor behind the hub is too busy with the model {model}.",
    "Try again later, or use another model.",
    waits=True,
)
TRANSIENT = _of_model(
    "transient",
    Action.RETRY,
    COUNTED,
    Fault.VENDOR,
    "The vendor of the model {model} asked for another try.",
    "Try again.",
)
SERVER = _of_model(
    "server",
    Action.RETRY,
    COUNTED,
    Fault.VENDOR,
    "The hub, or the vendor of the model {model} behind it, failed.",
    "Try again later, or use another model.",
)
TIMEOUT = _of_model(
    "timeout",
    Action.NEXT,
    COUNTED,
    Fault.VENDOR,
    "The model {model} did not answer in time.",
    "Allow more time (timeout=, first_token_timeout=), stream the answer, or use a faster model.",
)
RESET = _of_model(
    "reset",
    Action.RETRY,
    COUNTED,
    Fault.NETWORK,
    "The connection broke before the model {model} had answered.",
    "Try again; if it goes on, look at proxies on the way and at the hub's status page.",
    retries=1,
)
GARBLED = _of_model(
    "garbled",
    Action.RETRY,
    COUNTED,
    Fault.HUB,
    "What came back for the model {model} could not be read as an answer.",
    "Try again later, or use another model.",
    retries=1,
)
EMPTY = _of_model(
    "empty",
    Action.RETRY,
    COUNTED,
    Fault.VENDOR,
    "The model {model} ended its answer without saying anything.",
    "Try again, or use another model.",
    retries=1,
    keeps_answer=True,
)
INTERRUPTED = _of_model(
    "interrupted",
    Action.FAIL,
    COUNTED,
    Fault.HUB,
    "The stream of the model {model} broke off after part of the answer had been delivered.",
    "What arrived is in `.partial`; a stream is never restarted half-way. Ask again for a whole answer.",
)

UNSTEADY = _of_model(
    "server",
    Action.RETRY,
    COUNTED,
    Fault.HUB,
    "The last streams of the model {model} broke off before their end.",
    "Try again later, or use another model.",
)

# -- the key and the account ---------------------------------------------------------------------------------------

AUTH = _of_account(
    "auth",
    Action.FAIL,
    NONE,
    "The hub does not accept your API key (missing, wrong, expired, disabled or spent).",
    "Check api_key, or the environment variable it comes from, and the key's state at the hub.",
)
ACCOUNT = _of_account(
    "account",
    Action.FAIL,
    NONE,
    "The hub does not let your key or account make calls (banned, an IP address not allowed, or a channel suffix).",
    "Look at the key's settings at the hub: its state, its allowed addresses, and that nothing is appended to it.",
)
QUOTA = _of_account(
    "quota",
    Action.FAIL,
    Cooldown(Target.ACCOUNT, 60),
    "Your account or key at the hub has too little money or quota left for this call of the model {model}.",
    "Top up at the hub, raise the key's quota, or ask for less with max_tokens (hubs reserve its price in advance).",
    free_models_only=True,
)
RATE_ACCOUNT = _of_account(
    "rate_account",
    Action.RETRY,
    Cooldown(Target.ACCOUNT, 1, growing=True),
    "You have sent more requests than the hub allows your key or account in this time.",
    "Send fewer at once, or wait; another model of the same hub counts against the same limit.",
    never_next=True,
)

# -- the way to the hub --------------------------------------------------------------------------------------------

CONNECT = Failure(
    "connect",
    Scope.ENDPOINT,
    Action.RETRY,
    ENDPOINT_COUNTED,
    Fault.NETWORK,
    "The hub could not be reached for the model {model}.",
    "Check the base URL, the network, the proxy and the certificates; if they are right, the hub is down.",
    never_next=True,
)
POOL = Failure(
    "connect",
    Scope.ENDPOINT,
    Action.RETRY,
    NONE,
    Fault.REQUEST,
    "All connections to the hub were in use for too long, so the model {model} could not be asked.",
    "Make fewer calls at once, or give a client with a larger connection pool.",
    never_next=True,
)
ENDPOINT = Failure(
    "endpoint",
    Scope.ENDPOINT,
    Action.FAIL,
    NONE,
    Fault.REQUEST,
    "There is no such API at this base URL (asked for the model {model}).",
    "Does the base URL end in /v1? And does this hub serve that kind of call?",
    never_next=True,
)
