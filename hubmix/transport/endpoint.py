"""Where the base URL and the key come from. Pure but for the environment, which is handed in."""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import NoneType
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pydantic import SecretStr

from hubmix.errors import ConfigurationError
from hubmix.presets import AIHUBMIX, PRESETS, Preset, preset_for


@dataclass(frozen=True, slots=True)
class Credential:
    """A key and where it came from: ``variable`` is the environment variable's name, or None if given in the code."""

    value: SecretStr | None = None
    variable: str | None = None

    def __reduce__(self) -> tuple[object, ...]:
        # A key from the environment stays there: a worker process reads the same variable. A key given in the code
        # could be had from nowhere else and travels along.
        value = None if self.variable or self.value is None else self.value.get_secret_value()
        return _restore_credential, (value, self.variable)

    def resolve(self, environ: Mapping[str, str]) -> SecretStr | None:
        """The key, read again from its variable where it travelled without it."""
        if self.value is not None or self.variable is None:
            return self.value
        found = environ.get(
            self.variable, ""
        ).strip()  # as `resolve_key` reads it: files of secrets end in a line break
        return SecretStr(found) if found else None


def _restore_credential(value: str | None, variable: str | None) -> Credential:
    return Credential(None if value is None else SecretStr(value), variable)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A hub as settled: its preset, its base URL, the variables that may hold its key, and the one that named it."""

    preset: Preset
    base_url: str
    key_variables: tuple[str, ...]
    variable: str | None = field(default=None, compare=False)

    @property
    def base_urls(self) -> tuple[str, ...]:
        """The base URL and, where it is the preset's own, its mirrors."""
        if self.base_url == self.preset.base_url:
            return (self.base_url, *self.preset.mirrors)
        return (self.base_url,)


def resolve_endpoint(name: str | None, base_url: str | None, environ: Mapping[str, str]) -> Endpoint:
    """Decide which hub is meant: ``base_url`` > preset name > HUBMIX_BASE_URL > AIHUBMIX_BASE_URL > AIHubMix.

    Raises:
        ConfigurationError: If the name is unknown or the URL cannot be used.
    """
    if not isinstance(name, (str, NoneType)):
        raise ConfigurationError(f"hub must be a Hub or the name of one, not {type(name).__name__}.")
    if name is not None and name not in PRESETS:
        raise ConfigurationError(_unknown_preset(name))
    if base_url is not None:
        url = normalise_base_url(base_url)
        preset = PRESETS[name] if name else preset_for(url)
        return Endpoint(preset, url, preset.key_variables)
    if name is not None:
        return Endpoint(PRESETS[name], PRESETS[name].base_url, PRESETS[name].key_variables)
    for variable in ("HUBMIX_BASE_URL", "AIHUBMIX_BASE_URL"):
        if environ.get(variable):
            url = normalise_base_url(environ[variable], origin=variable)
            preset = preset_for(url)
            named = AIHUBMIX.key_variables if variable.startswith("AIHUBMIX") else ()
            return Endpoint(preset, url, tuple(dict.fromkeys((*preset.key_variables, *named))), variable)
    return Endpoint(AIHUBMIX, AIHUBMIX.base_url, AIHUBMIX.key_variables)


def _unknown_preset(name: str) -> str:
    if "://" in name:
        return f"{name.split('?')[0]!r} is a URL, not the name of a hub: pass it as base_url=."
    near = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown hub {name!r}; known are {', '.join(map(repr, PRESETS))}.{hint} Any other hub: pass its base_url=."


@lru_cache(maxsize=64)  # a third of what making a model object takes
def normalise_base_url(url: str, *, origin: str = "base_url") -> str:
    """Check a base URL and complete it: no trailing slash, ``/v1`` where it has no path.

    A base URL without ``/v1`` gets New API's web page with status 200 (measured on three gateways), so the path is
    added. Plain http is accepted for loopback only: a key must not cross a network in the open.

    Raises:
        ConfigurationError: If it is no usable URL.
    """
    parts = _split(url.strip())
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{origin} must be an http(s) URL such as https://hub.example/v1, not {url!r}.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(f"{origin} must not hold credentials, a query or a fragment; pass the key as api_key.")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"{origin} {parts.scheme}://{parts.netloc} is not encrypted: a key would cross the network in the open. "
            "Use https; plain http is accepted for this machine only (127.0.0.1, ::1, localhost)."
        )
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/") or "/v1", "", ""))


def _split(url: str) -> SplitResult | None:
    """The parts of a URL, or None where its host or its port cannot be one."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # read only to have it checked
    except ValueError:
        return None
    return None if any(character.isspace() for character in url) else parts


def is_loopback(host: str) -> bool:
    """True for this machine: ``localhost``, ``*.localhost`` and the loopback addresses."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def resolve_key(api_key: str | SecretStr | None, endpoint: Endpoint, environ: Mapping[str, str]) -> Credential:
    """Decide which key is sent: ``api_key`` > HUBMIX_API_KEY > the hub's own variable > OPENAI_API_KEY.

    The last one only where OPENAI_BASE_URL names this very host: an OpenAI key never goes to another company's server
    by accident.
    """
    if api_key is not None:
        secret = api_key if isinstance(api_key, SecretStr) else SecretStr(str(api_key))
        text = secret.get_secret_value().strip()
        if not text:
            raise ConfigurationError("api_key is empty. Pass a key, or leave it out and set HUBMIX_API_KEY.")
        return Credential(_checked(text, "api_key"))
    variables = ("HUBMIX_API_KEY", *endpoint.key_variables)
    openai = _split(environ.get("OPENAI_BASE_URL", "").strip())
    if openai is not None and openai.hostname and openai.hostname == urlsplit(endpoint.base_url).hostname:
        variables += ("OPENAI_API_KEY",)
    for variable in variables:
        if text := environ.get(variable, "").strip():
            return Credential(_checked(text, variable), variable)
    return Credential()


def _checked(text: str, origin: str) -> SecretStr:
    """A key that can stand in a header. The HTTP library would write any other into its log and its error."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(f"{origin} holds characters that no key has (spaces, line breaks, non-ASCII).")
    return SecretStr(text)


def missing_key(endpoint: Endpoint) -> ConfigurationError:
    """The error for a request that needs a key where there is none."""
    variables = " or ".join(("HUBMIX_API_KEY", *endpoint.key_variables))
    return ConfigurationError(
        f"No key for {endpoint.base_url}. Set {variables} in the environment, or pass api_key=. "
        "OPENAI_API_KEY is used only if OPENAI_BASE_URL names the same host.",
        kind="no_key",
    )


def fingerprint(key: SecretStr | None) -> str:
    """A short salted hash that tells keys apart in caches and breakers without giving one away."""
    text = key.get_secret_value() if key is not None else ""
    return hashlib.sha256(f"hubmix:{text}".encode()).hexdigest()[:16]
