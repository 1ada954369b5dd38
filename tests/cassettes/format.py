"""One cassette as text and back.

A file is one YAML document: where it came from, then each request with its response. A body whose bytes are those of
`json.dumps`, with or without spaces, is kept as the YAML of its value, so that a diff shows which field changed; every
other body is kept as it is, in a literal block. Each body carries the SHA-256 of its bytes, and the file one of all
its text; both are checked when it is read. The gateway recordings, made before this format, are plain vcrpy and have
their checksums in `cassettes/gateway/SHA256SUMS`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from tests.cassettes.scan import refuse_secrets

try:  # the client that the installed openai speaks; either one undoes the compressions it asks for
    import httpx2 as httpx
except ImportError:
    import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

VERSION = 1
REQUEST_HEADERS = frozenset({"accept", "accept-language", "content-type"})
CREDENTIALS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")
RESPONSE_HEADERS = frozenset(
    {
        *("content-type", "location", "retry-after", "retry-after-ms", "x-should-retry"),
        *("x-oneapi-request-id", "x-request-id", "x-aihubmix-request-id", "x-new-api-version"),
    }
)
# The two ways in which a body may be laid out that is kept as its value, under the name it is kept by.
_SEPARATORS = {"json": (",", ":"), "spaced_json": (", ", ": ")}
_CHECKSUM = "checksum: "  # begins the first line of a file, with the SHA-256 of everything below it


class CassetteDamagedError(ValueError):
    """A cassette does not say what it said when it was recorded."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """One request and its response, bodies as bytes, headers lower-case."""

    method: str
    uri: str
    request_headers: Mapping[str, list[str]]
    request_body: bytes
    status: int
    reason: str
    response_headers: Mapping[str, list[str]]
    response_body: bytes


@dataclass(frozen=True, slots=True)
class Recording:
    """What one file holds. `provenance["kind"]` is live, gateway or embedded."""

    provenance: Mapping[str, Any]
    interactions: list[Interaction] = field(default_factory=list)


# ------------------------------------------------------------------------------------------------ writing


def dump(recording: Recording, name: str = "the cassette") -> str:
    """Return the text of `recording`, or raise `SecretFoundError`."""
    document: dict[str, Any] = {
        "version": VERSION,
        "provenance": dict(recording.provenance),
        "interactions": [_interaction_document(interaction) for interaction in recording.interactions],
    }
    text = _to_yaml(document)
    # YAML quotes and folds: what the bodies say is scanned too.
    said = "\n".join([text, *(body.decode("utf-8", "replace") for body in _bodies(recording))])
    refuse_secrets(said, name, sent=_credentials(recording))
    if _from_yaml(text) != document:
        raise CassetteDamagedError(f"{name} would not read back as it was written")
    return f"{_CHECKSUM}{_digest(text)}\n{text}"


def _bodies(recording: Recording) -> list[bytes]:
    return [body for each in recording.interactions for body in (each.request_body, each.response_body)]


def _credentials(recording: Recording) -> set[str]:
    """Return the keys that the requests were sent with, whatever they look like."""
    values = [
        value for each in recording.interactions for name in CREDENTIALS for value in each.request_headers.get(name, ())
    ]
    return {value.split()[-1] for value in values if value.strip()}


def _interaction_document(interaction: Interaction) -> dict[str, Any]:
    return {
        "request": {
            "method": interaction.method,
            "uri": interaction.uri,
            "headers": _kept(interaction.request_headers, REQUEST_HEADERS),
            "body": _body_document(interaction.request_body),
        },
        "response": {
            "status": {"code": interaction.status, "message": interaction.reason},
            "headers": _kept(interaction.response_headers, RESPONSE_HEADERS),
            "body": _body_document(decompressed(interaction.response_body, interaction.response_headers)),
        },
    }


def _kept(headers: Mapping[str, list[str]], names: frozenset[str]) -> dict[str, list[str]]:
    return {name: list(headers[name]) for name in sorted(headers) if name in names}


def _body_document(body: bytes) -> dict[str, Any]:
    digest = _digest(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return {"sha256": digest, "base64": base64.b64encode(body).decode("ascii")}
    try:
        value = json.loads(text)
        if isinstance(value, (dict, list)):
            for layout in _SEPARATORS:
                if _json_bytes(value, layout) == body:
                    return {"sha256": digest, layout: value}
    except (ValueError, RecursionError):
        pass  # no JSON, or a lone surrogate that UTF-8 cannot hold: kept as the text it is
    return {"sha256": digest, "text": text}


def decompressed(body: bytes, headers: Mapping[str, list[str]]) -> bytes:
    """Return `body` without its transport compression."""
    encodings = headers.get("content-encoding")
    if not encodings or not body:
        return body
    return httpx.Response(200, headers=[("content-encoding", ", ".join(encodings))], content=body).content


def _digest(content: bytes | str) -> str:
    return hashlib.sha256(content.encode("utf-8") if isinstance(content, str) else content).hexdigest()


def _json_bytes(value: Any, layout: str) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=_SEPARATORS[layout], allow_nan=False).encode("utf-8")


# ------------------------------------------------------------------------------------------------ reading


def load(text: str, name: str = "the cassette") -> Recording:
    """Return the recording of `text`, or raise `CassetteDamagedError`."""
    try:
        document = _from_yaml(text)
        provenance, interactions = document["provenance"], document["interactions"]
        checked = provenance["kind"] != "gateway"
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise CassetteDamagedError(f"{name} is no cassette: {type(error).__name__}: {error}") from error
    first, _, rest = text.partition("\n")
    if checked and first != f"{_CHECKSUM}{_digest(rest)}":
        raise CassetteDamagedError(f"{name} was changed after it was recorded (checksum). Record it again.")
    return Recording(provenance, [_read_interaction(each, name, checked=checked) for each in interactions])


def _read_interaction(document: Mapping[str, Any], name: str, *, checked: bool) -> Interaction:
    request, response = document["request"], document["response"]
    body = response["body"]
    return Interaction(
        method=request["method"],
        uri=request["uri"],
        request_headers=request["headers"],
        request_body=_read_body(request["body"], f"{name}, request to {request['uri']}", checked=checked),
        status=response["status"]["code"],
        reason=response["status"]["message"],
        response_headers=response["headers"],
        response_body=_read_body(
            body if checked else body["string"], f"{name}, response of {request['uri']}", checked=checked
        ),
    )


def _read_body(document: Any, name: str, *, checked: bool) -> bytes:
    if not checked:
        return document if isinstance(document, bytes) else (document or "").encode("utf-8")
    layout = next((name for name in _SEPARATORS if name in document), None)
    if layout is not None:
        body = _json_bytes(document[layout], layout)
    elif "base64" in document:
        body = base64.b64decode(document["base64"], validate=True)
    else:
        body = document["text"].encode("utf-8")
    if _digest(body) != document["sha256"]:
        raise CassetteDamagedError(f"{name}: the body was changed after it was recorded (SHA-256). Record it again.")
    return body


# ------------------------------------------------------------------------------------------------ vcrpy's side


class Serializer:
    """Read and write this format for vcrpy, and add where a new recording came from."""

    def __init__(self, provenance: Mapping[str, Any] | None = None, name: str = "the cassette") -> None:
        self._provenance = provenance
        self._name = name

    def serialize(self, cassette: Mapping[str, Any]) -> str:
        if self._provenance is None:
            raise ValueError(f"{self._name} is read-only: nothing says where a new recording of it would come from")
        return dump(Recording(self._provenance, [_from_vcr(each) for each in cassette["interactions"]]), self._name)

    def deserialize(self, text: str) -> dict[str, Any]:
        recording = load(text, self._name)
        return {"version": VERSION, "interactions": [_to_vcr(interaction) for interaction in recording.interactions]}


def _from_vcr(document: Mapping[str, Any]) -> Interaction:
    request, response = document["request"], document["response"]
    return Interaction(
        method=request["method"],
        uri=request["uri"],
        request_headers=_lower(request["headers"]),
        request_body=_as_bytes(request["body"]),
        status=response["status"]["code"],
        reason=response["status"]["message"],
        response_headers=_lower(response["headers"]),
        response_body=_as_bytes(response["body"]["string"]),
    )


def _to_vcr(interaction: Interaction) -> dict[str, Any]:
    return {
        "request": {
            "method": interaction.method,
            "uri": interaction.uri,
            "headers": dict(interaction.request_headers),
            "body": interaction.request_body,
        },
        "response": {
            "status": {"code": interaction.status, "message": interaction.reason},
            "headers": dict(interaction.response_headers),
            "body": {"string": interaction.response_body},
        },
    }


def _lower(headers: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name.lower(): [values] if isinstance(values, str) else list(values) for name, values in headers.items()}


def _as_bytes(body: str | bytes | None) -> bytes:
    return body.encode("utf-8") if isinstance(body, str) else body or b""


# ------------------------------------------------------------------------------------------------ YAML


class _Dumper(yaml.SafeDumper):
    """Block style: keys in their order, no anchors, long texts as literal blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # YAML itself falls back to a quoted scalar where a literal block could not hold the text (a carriage return, blanks
    # before a line end).
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _to_yaml(document: Mapping[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


@cache  # many tests play one recording
def _from_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_loader())


def _loader() -> Any:
    module: ModuleType = yaml
    return getattr(module, "CSafeLoader", yaml.SafeLoader)
