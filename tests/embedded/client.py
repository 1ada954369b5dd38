"""A client of the standard library, so that the wire itself is tested."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hubmix.embedded import EmbeddedHub


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; `text` holds what arrived before the connection broke."""

    status: int
    headers: Mapping[str, str]
    text: str
    broken: Exception | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json["error"]
        return found

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json["choices"][0]["message"]
        return found

    @property
    def content(self) -> str:
        return str(self.message["content"])

    @property
    def events(self) -> list[Any]:
        """The data of the stream's events; broken JSON stays text, [DONE] too."""
        return [_value(line[6:]) for line in self.text.split("\n") if line.startswith("data: ")]

    @property
    def deltas(self) -> list[dict[str, Any]]:
        return [
            event["choices"][0]["delta"] for event in self.events if isinstance(event, dict) and event.get("choices")
        ]

    @property
    def streamed(self) -> str:
        return "".join(delta.get("content") or "" for delta in self.deltas)

    @property
    def finish_reasons(self) -> list[str]:
        events = [event for event in self.events if isinstance(event, dict) and event.get("choices")]
        return [reason for event in events if (reason := event["choices"][0].get("finish_reason")) is not None]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def send(
    hub: EmbeddedHub,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    key: str | None = "sk-embedded",
    timeout: float = 5.0,
) -> Response:
    """Send one request over a connection of its own."""
    sent = {"content-type": "application/json", **(headers or {})}
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    connection = http.client.HTTPConnection(urlsplit(hub.root_url).netloc, timeout=timeout)
    try:
        connection.request(method, path, text.encode() if text is not None else None, sent)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        arrived, broken = b"", None
        try:
            while piece := response.read1(65_536):
                arrived += piece
        except (http.client.HTTPException, OSError) as error:
            broken = error
        short = int(found.get("content-length", len(arrived))) != len(arrived)
        if short and broken is None:
            broken = http.client.IncompleteRead(arrived)
        return Response(response.status, found, arrived.decode(), broken)
    finally:
        connection.close()


def chat(hub: EmbeddedHub, content: Any = "Hello", model: str = "embedded/extract", **extra: Any) -> Response:
    """Send one chat request; `headers`, `key` and `timeout` are not in the body."""
    connection = {name: extra.pop(name) for name in ("headers", "key", "timeout") if name in extra}
    messages = extra.pop("messages", [{"role": "user", "content": content}])
    return send(hub, "POST", "/v1/chat/completions", {"model": model, "messages": messages, **extra}, **connection)


def function(name: str, description: str = "", **properties: Any) -> dict[str, Any]:
    """A tool whose properties are all required."""
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}
