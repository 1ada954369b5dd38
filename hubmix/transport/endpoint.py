"""Where the base URL and the key come from. Pure: the environment is handed in."""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import NoneType
from typing import Any

from pydantic import SecretStr

from hubmix._compat import http
from hubmix.errors import ConfigurationError
from hubmix.presets import AIHUBMIX, PRESETS, Preset, preset_for

_URL_VARIABLES = ("HUBMIX_BASE_URL", "AIHUBMIX_BASE_URL")
_KEY_VARIABLES = ("HUBMIX_API_KEY", *(name for preset in PRESETS.values() for name in preset.key_variables))
_ALLOW_HTTP = "HUBMIX_ALLOW_HTTP"
_HOST_NAME = re.compile(r"[a-z0-9._-]+")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")  # resolvers read these single labels as addresses
_LOCAL_SUFFIXES = (".local", ".internal", ".lan", ".localhost")  # names that no public server has


KeyProvider = Callable[[], "str | Awaitable[str]"]


@dataclass(frozen=True, slots=True)
class Credential:
    """A key and where it came from.

    Args:
        value: the key, or None.
        variable: the environment variable's name; None if the key was given in the code.
        provider: a function, plain or async, that returns the key of each request.
    """

    value: SecretStr | None = None
    variable: str | None = None
    provider: KeyProvider | None = None

    @property
    def identity(self) -> str:
        """What tells this key from others; a function is not called for it."""
        return "" if self.provider is None else f"function {id(self.provider)}"

    def __reduce__(self) -> tuple[object, ...]:
        # A key from the environment stays there: a worker process reads the same variable. A key given in the code
        # exists nowhere else and travels along.
        value = None if self.variable or self.value is None else self.value.get_secret_value()
        return _restore_credential, (value, self.variable, self.provider)

    def resolve(self, environ: Mapping[str, str]) -> SecretStr | None:
        """Return the key, read again from its variable if it travelled without it."""
        if self.value is not None or self.variable is None:
            return self.value
        found = environ.get(self.variable, "").strip()  # files of secrets end in a line break
        return SecretStr(found) if found else None


def _restore_credential(value: str | None, variable: str | None, provider: KeyProvider | None = None) -> Credential:
    return Credential(None if value is None else SecretStr(value), variable, provider)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A resolved hub.

    Args:
        preset: what is known of it.
        base_url: its base URL.
        key_variables: environment variables that may hold its key.
        variable: the environment variable that named it, or None.
    """

    preset: Preset
    base_url: str
    key_variables: tuple[str, ...]
    variable: str | None = field(default=None, compare=False)

    @property
    def base_urls(self) -> tuple[str, ...]:
        """The base URL, and its mirrors if it is the preset's own."""
        if self.base_url == self.preset.base_url:
            return (self.base_url, *self.preset.mirrors)
        return (self.base_url,)


def resolve_endpoint(
    name: str | None, base_url: str | None, environ: Mapping[str, str], *, allow_http: bool | None = None
) -> Endpoint:
    """Decide which hub is meant.

    `base_url`, else the preset's name, else `HUBMIX_BASE_URL`, `AIHUBMIX_BASE_URL`, `OPENAI_BASE_URL` (or its older
    name, `OPENAI_API_BASE`), else AIHubMix. OpenAI's variable counts if it is not OpenAI's own URL and no variable of
    ours names a URL or a key: the hubs' own documentation tells users to set that pair.

    Raises:
        ConfigurationError: the name is unknown, or the URL cannot be used.
    """
    if not isinstance(name, (str, NoneType)):
        raise ConfigurationError(f"hub must be a Hub or the name of one, not {type(name).__name__}.")
    if name is not None and name not in PRESETS:
        raise ConfigurationError(_unknown_preset(name))
    if allow_http is None:
        allow_http = environ.get(_ALLOW_HTTP, "").strip().lower() in ("1", "true", "yes", "on")
    if base_url is not None:
        url = normalise_base_url(base_url, allow_http=allow_http)
        preset = PRESETS[name] if name else preset_for(url)
        return Endpoint(preset, url, preset.key_variables)
    if name is not None:
        return Endpoint(PRESETS[name], PRESETS[name].base_url, PRESETS[name].key_variables)
    for variable in _URL_VARIABLES:
        if environ.get(variable):
            url = normalise_base_url(environ[variable], origin=variable, allow_http=allow_http)
            preset = preset_for(url)
            named = AIHUBMIX.key_variables if variable.startswith("AIHUBMIX") else ()
            return Endpoint(preset, url, tuple(dict.fromkeys((*preset.key_variables, *named))), variable)
    if _openai_pair_counts(environ):
        variable, given = _openai_url(environ)
        url = normalise_base_url(given, origin=variable, allow_http=allow_http)
        preset = preset_for(url)
        return Endpoint(preset, url, preset.key_variables, variable)
    return Endpoint(AIHUBMIX, AIHUBMIX.base_url, AIHUBMIX.key_variables)


def _openai_url(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable that names OpenAI's URL, and its value.

    LangChain and LlamaIndex read the older name as well.
    """
    names = ("OPENAI_BASE_URL", "OPENAI_API_BASE")
    return next(((name, environ[name]) for name in names if environ.get(name, "").strip()), (names[0], ""))


def _openai_pair_counts(environ: Mapping[str, str]) -> bool:
    host = _host(_openai_url(environ)[1])
    if host is None or host == "openai.com" or host.endswith(".openai.com"):
        return False
    return not any(environ.get(variable, "").strip() for variable in (*_URL_VARIABLES, *_KEY_VARIABLES))


def _unknown_preset(name: str) -> str:
    if "://" in name:
        return f"{name.split('?')[0]!r} is a URL, not the name of a hub: pass it as base_url=."
    near = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown hub {name!r}; known are {', '.join(map(repr, PRESETS))}.{hint} Any other hub: pass its base_url=."


@lru_cache(maxsize=64)  # a third of what making a model object takes
def normalise_base_url(url: str, *, origin: str = "base_url", allow_http: bool = False) -> str:
    """Check a base URL and complete it: no trailing slash, `/v1` if it has no path.

    A base URL without `/v1` gets New API's web page with status 200 (measured on three gateways), so the path is
    added. The HTTP library parses it, so that the host that is checked is the host that is asked.

    Args:
        url: the base URL.
        origin: where it came from, for the error.
        allow_http: plain http for any host, not only for local ones.

    Raises:
        ConfigurationError: it is no usable URL, or a key would cross a public network in the open.
    """
    parts = _parse(url)
    if parts is None:
        raise ConfigurationError(f"{origin} must be an http(s) URL such as https://hub.example/v1, not {_shown(url)}.")
    if parts.userinfo or parts.query or parts.fragment:
        raise ConfigurationError(f"{origin} must not hold credentials, a query or a fragment; pass the key as api_key.")
    if parts.scheme == "http" and not allow_http and not is_local(parts.host):
        raise ConfigurationError(
            f"{origin} http://{parts.netloc.decode()} is not encrypted: a key would cross the network in the open. Use "
            f"https, or allow it with allow_http=True or {_ALLOW_HTTP}=1. Plain http is accepted for this machine, "
            "private addresses, names without a dot, *.local, *.internal and *.lan."
        )
    path = parts.raw_path.decode().rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc.decode().lower()}{path}"


def _shown(url: str) -> str:
    return repr(url) if "@" not in url else "one with credentials"


def _parse(url: str) -> Any:
    """Return the HTTP library's parsed URL, or None if it cannot be a base URL."""
    library = http()
    try:
        parts = library.URL(url.strip())
        if parts.port is not None and not 0 < parts.port < 65_536:
            return None
    except (library.InvalidURL, ValueError):
        return None
    # `*`, `%2f` and the like are legal in a URL and in no host name; parsers disagree on where such a host ends.
    host = parts.raw_host.decode()
    plain = _HOST_NAME.fullmatch(host) is not None or _address(host) is not None
    return parts if plain and parts.scheme in ("http", "https") and "%2f" not in url.lower() else None


def _host(url: str) -> str | None:
    parts = _parse(url) if url.strip() else None
    return None if parts is None else str(parts.host)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by a loopback address or `localhost`."""
    host = host.removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def is_local(host: str) -> bool:
    """Whether a host cannot be on the public internet, by its address or name."""
    address, name = _address(host), host.removesuffix(".")
    if address is not None:
        return not address.is_global
    if "." not in name:
        return _NUMBER.fullmatch(name) is None
    return name.endswith(_LOCAL_SUFFIXES)


def resolve_key(
    api_key: str | SecretStr | KeyProvider | None, endpoint: Endpoint, environ: Mapping[str, str]
) -> Credential:
    """Decide which key is sent.

    `api_key`, else `HUBMIX_API_KEY`, the hub's own variable, `OPENAI_API_KEY`. The last one only if
    `OPENAI_BASE_URL` names this very host: an OpenAI key never goes to another company's server by accident.

    Raises:
        ConfigurationError: the key is empty, or cannot stand in a header.
    """
    if callable(api_key):
        return Credential(provider=api_key)
    if api_key is not None:
        secret = api_key if isinstance(api_key, SecretStr) else SecretStr(str(api_key))
        text = secret.get_secret_value().strip()
        if not text:
            raise ConfigurationError("api_key is empty. Pass a key, or leave it out and set HUBMIX_API_KEY.")
        return Credential(_checked(text, "api_key"))
    variables = ("HUBMIX_API_KEY", *endpoint.key_variables)
    if environ.get("OPENAI_API_KEY") and _host(_openai_url(environ)[1]) == _host(endpoint.base_url):
        variables += ("OPENAI_API_KEY",)
    for variable in variables:
        if text := environ.get(variable, "").strip():
            return Credential(_checked(text, variable), variable)
    return Credential()


def _checked(text: str, origin: str) -> SecretStr:
    """Return a key that can stand in a header; the HTTP library would log any other."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(f"{origin} holds characters that no key has (spaces, line breaks, non-ASCII).")
    return SecretStr(text)


def missing_key(endpoint: Endpoint) -> ConfigurationError:
    """Return the error for a request that needs a key if there is none."""
    variables = " or ".join(("HUBMIX_API_KEY", *endpoint.key_variables))
    return ConfigurationError(
        f"No key for {endpoint.base_url}. Set {variables} in the environment, or pass api_key=. "
        "OPENAI_API_KEY is used only if OPENAI_BASE_URL names the same host.",
        kind="no_key",
    )


def fingerprint(key: SecretStr | None) -> str:
    """Return a short salted hash that tells keys apart without giving one away."""
    text = key.get_secret_value() if key is not None else ""
    return hashlib.sha256(f"hubmix:{text}".encode()).hexdigest()[:16]
