"""The checks of `hubmix doctor`, each with advice for when it fails.

Later checks that need an earlier one are skipped where that failed: one cause, one failure.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from hubmix.cli.connection import CHAT_MODEL
from hubmix.cli.guard import message_of
from hubmix.errors import (
    AuthenticationError,
    CatalogError,
    HubmixError,
    ModelNotFoundError,
    ModelUnavailableError,
    PermissionDeniedError,
    QuotaExceededError,
)
from hubmix.transport.endpoint import missing_key

if TYPE_CHECKING:
    from hubmix.hub.hub import Hub

PATIENCE = 10.0  # seconds for each step
_SOON = 7  # days before a certificate ends
_NEW_KEY = "Make a new key on the hub's website, and check that it belongs to this very hub."
_TOP_UP = "Top up the account, or raise the key's limit; see: hubmix balance"
_KEY_SETTINGS = "Look at the key's settings on the hub's website: allowed models and addresses."
_OTHER_MODEL = "Name another model with --model; what this hub serves: hubmix models"
_ADVICE: dict[type[HubmixError], str] = {
    AuthenticationError: _NEW_KEY,
    QuotaExceededError: _TOP_UP,
    PermissionDeniedError: _KEY_SETTINGS,
    **dict.fromkeys((ModelNotFoundError, ModelUnavailableError), _OTHER_MODEL),
}
_OWN_KEY = "Each of two accounts needs a key of its own: pass api_key= to its Hub."


class Outcome(str, Enum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Args:
        name: what.
        outcome: ok, failed or skipped.
        found: what was seen.
        advice: what to do; "" where nothing need be done.
    """

    name: str
    outcome: Outcome
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        """JSON-safe."""
        return {"name": self.name, "outcome": self.outcome.value, "found": self.found, "advice": self.advice}


@dataclass(slots=True)
class Surroundings:
    """What is examined, and what the checks have found out so far.

    Args:
        hub: the hub.
        model: the model for the call; None for one that the catalog has.
        call: whether to make a call.
        shares_key: the base URL of another hub that is sent the same key, or "".
    """

    hub: Hub
    model: str | None
    call: bool
    shares_key: str = ""
    address: str = ""
    listed: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return urlsplit(self.hub.base_url).hostname or ""

    @property
    def encrypted(self) -> bool:
        return urlsplit(self.hub.base_url).scheme == "https"

    @property
    def port(self) -> int:
        return urlsplit(self.hub.base_url).port or (443 if self.encrypted else 80)

    @property
    def proxy(self) -> str:
        """The proxy that requests take, without its password; "" for none."""
        found = getproxies().get("https" if self.encrypted else "http") or getproxies().get("all")
        if not found or proxy_bypass(self.host):
            return ""
        parts = urlsplit(found if "://" in found else f"http://{found}")
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def examine(what: Surroundings) -> Iterator[Check]:
    """Look at everything, in order."""
    yield _settings(what)
    reached = True
    for look in (_dns, _tcp, _tls):
        check = _skipped(look.__name__, "the step before failed") if not reached else look(what)
        reached = reached and check.outcome is not Outcome.FAILED
        yield check
    key = _key(what)
    yield key
    if not (reached and key.outcome is Outcome.OK):
        yield _skipped("catalog", "no connection or no key")
        yield _skipped("call", "no connection or no key" if what.call else "--no-call")
        return
    catalog = _catalog(what)
    call = _call(what) if what.call else _skipped("call", "--no-call")
    yield _agreeing(catalog, call)
    yield call


def _agreeing(catalog: Check, call: Check) -> Check:
    """Return the catalog's check with no advice that the call has proved wrong."""
    if catalog.advice not in (_NEW_KEY, _KEY_SETTINGS):
        return catalog
    if call.outcome is Outcome.OK:
        return replace(catalog, advice="The key is good for calls; only the list is kept from it.")
    # A call says more: a key that is spent may be refused the list without another word.
    return replace(catalog, advice=call.advice) if call.advice in (_NEW_KEY, _TOP_UP, _KEY_SETTINGS) else catalog


def _skipped(name: str, why: str) -> Check:
    return Check(name.strip("_"), Outcome.SKIPPED, why)


def _failed(name: str, found: str, advice: str) -> Check:
    return Check(name, Outcome.FAILED, found, advice)


def _settings(what: Surroundings) -> Check:
    hub = what.hub
    known = f"{hub.name}, " if hub.name != "custom" else ""
    return Check("settings", Outcome.OK, f"{known}{hub.base_url}{_origin(hub.endpoint.variable)}")


def _origin(used: str | None) -> str:
    """Which variable named the hub, or that one that is set does not count."""
    if used is not None:
        return f" (from {used})"
    ignored = [name for name in ("HUBMIX_BASE_URL", "AIHUBMIX_BASE_URL") if os.environ.get(name)]
    return f" (named on the command line; {' and '.join(ignored)} not used)" if ignored else ""


def _dns(what: Surroundings) -> Check:
    if what.proxy:
        return _skipped("dns", f"the proxy {what.proxy} looks the name up")
    started = time.monotonic()
    try:
        found = socket.getaddrinfo(what.host, what.port, type=socket.SOCK_STREAM)
    except OSError as error:
        advice = "Check the spelling of the base URL and that this machine is online; try another DNS server."
        return _failed("dns", f"{what.host} was not found: {error.strerror or error}", advice)
    what.address = str(found[0][4][0])
    return Check("dns", Outcome.OK, f"{what.host} is {what.address} ({_milliseconds(started)})")


def _tcp(what: Surroundings) -> Check:
    if what.proxy:
        return _skipped("tcp", f"requests go through the proxy {what.proxy}")
    started = time.monotonic()
    try:
        socket.create_connection((what.host, what.port), timeout=PATIENCE).close()
    except OSError as error:
        advice = "A firewall may be in the way: try another network, or set HTTPS_PROXY if one is needed here."
        if isinstance(error, ConnectionRefusedError):
            advice = "Nothing listens there: start the hub, or correct the port in the base URL."
        return _failed("tcp", f"no connection to {what.host}:{what.port}: {_words(error)}", advice)
    return Check("tcp", Outcome.OK, f"connected to port {what.port} ({_milliseconds(started)})")


def _tls(what: Surroundings) -> Check:
    if not what.encrypted:
        return _skipped("tls", "the base URL is plain http")
    if what.proxy:
        return _skipped("tls", f"requests go through the proxy {what.proxy}")
    started = time.monotonic()
    try:
        with (
            socket.create_connection((what.host, what.port), timeout=PATIENCE) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=what.host) as secure,
        ):
            version, certificate = secure.version(), secure.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        advice = "Check this machine's clock. Behind a company's proxy, point SSL_CERT_FILE to its certificates."
        return _failed("tls", f"the certificate of {what.host} is not accepted: {error.verify_message}", advice)
    except OSError as error:
        advice = "Check that the base URL's port speaks https, and that no proxy or firewall breaks the connection."
        return _failed("tls", f"no TLS with {what.host}: {_words(error)}", advice)
    days = _days_left(certificate)
    late = f"Its certificate ends in {days} days; the hub's operator should renew it." if days < _SOON else ""
    return Check("tls", Outcome.OK, f"{version}, certificate good for {days} days ({_milliseconds(started)})", late)


def _key(what: Surroundings) -> Check:
    hub = what.hub
    if hub.key_source == "none":
        said = missing_key(hub.endpoint)
        variable = ("HUBMIX_API_KEY", *hub.endpoint.key_variables)[-1]
        return _failed("key", str(said).partition(". ")[0], f"export {variable}=<your key>")
    shared, advice = "", ""
    if what.shares_key:
        shared = f", the same as for {what.shares_key}"
        own = hub.endpoint.key_variables
        advice = f"A key of its own goes into {own[-1]}, with HUBMIX_API_KEY unset." if own else _OWN_KEY
    return Check("key", Outcome.OK, f"set, from {hub.key_source}{shared}", advice)


def _catalog(what: Surroundings) -> Check:
    try:
        info = what.hub.models.refresh(force=True)
        found = what.hub.models.list(kind=None)
    except AuthenticationError as error:
        return _rejected("catalog", error)
    except CatalogError as error:
        advice = "Calls work without a catalog. If the base URL is right, the hub has none or is down."
        return _failed("catalog", message_of(error), advice)
    what.listed = tuple(one.id for one in found if one.kind == "chat")
    if info.last_error:
        # A price list is open to everybody, so a key that is not good may show in the other list alone.
        refused = {"HTTP 401": _NEW_KEY, "HTTP 403": _KEY_SETTINGS}
        told = (refused[note] for note in info.notes.values() if note in refused)
        advice = next(told, "The list in hand may be old or lack models; calls do not need it.")
        return _failed("catalog", str(info), advice)
    closed = found.left_out.unavailable
    usable = f", {info.count - closed:,} of them for this key" if closed else ""
    return Check("catalog", Outcome.OK, f"{info.count:,} models from {' + '.join(info.source)}{usable}")


def _call(what: Surroundings) -> Check:
    from hubmix.failover.options import CallOptions
    from hubmix.failover.policy import FailoverPolicy

    model = what.model or _some_model(what)
    payload: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "Say OK."}], "max_tokens": 16}
    options = CallOptions(timeout=60.0, total_timeout=90.0, policy=FailoverPolicy(max_retries=0))
    started = time.monotonic()
    try:
        reply = what.hub.chat(payload, options)
    except HubmixError as error:
        return _rejected("call", error)
    cost = f", {reply.cost}" if reply.cost is not None and reply.cost.complete else ""
    return Check("call", Outcome.OK, f"{reply.served} answered ({_milliseconds(started)}{cost})")


def _some_model(what: Surroundings) -> str:
    """Return the usual model, or the cheapest if the hub does not list it."""
    usual = what.hub.models.find(CHAT_MODEL)
    if not what.listed or (usual is not None and usual.id in what.listed):
        return CHAT_MODEL
    cheapest = what.hub.models.list(sort="input_price", limit=1)
    return cheapest[0].id if cheapest else what.listed[0]


def _rejected(name: str, error: HubmixError) -> Check:
    advice = next((advice for kind, advice in _ADVICE.items() if isinstance(error, kind)), "")
    return _failed(name, message_of(error), advice)


def _days_left(certificate: Any) -> int:
    ends = ssl.cert_time_to_seconds(certificate["notAfter"]) if "notAfter" in certificate else 0
    return int((ends - datetime.now(timezone.utc).timestamp()) // 86_400)


def _words(error: OSError) -> str:
    return "timed out" if isinstance(error, TimeoutError) else str(error.strerror or error)


def _milliseconds(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:,.0f} ms"
