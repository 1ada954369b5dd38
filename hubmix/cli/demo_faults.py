"""The same faults through ChatOpenAI and ChatHubmix, on failing embedded hubs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from openai import OpenAIError

from hubmix.cli import screen
from hubmix.embedded import EmbeddedHub, Fault
from hubmix.embedded.dialects import DialectName
from hubmix.errors import HubmixError
from hubmix.hub.hub import Hub

ASKED = "The kettle holds 1.7 litres. The toaster is red. How much does the kettle hold?"
MODELS: dict[str, dict[str, Any]] = {
    "gpt-4o": {"price": (2.5, 10.0, 1.25)},
    "gpt-4o-mini": {"price": (0.15, 0.6, 0.075)},
    "gpt-4": {"retire_stage": "retired", "successor": "gpt-4o"},
    "o3-pro": {"rule": "think", "apis": ("responses",), "price": (20.0, 80.0, 0.0)},
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault.

    Args:
        title: what goes wrong.
        model: the model that both clients name.
        fallbacks: what ChatHubmix goes on to; `spare` is a second hub.
        fault: what the hub is told to do, if it takes more than the model or the key.
        key: the key of both.
        stream: whether the answer is streamed.
        dialect: whose words the hub speaks.
    """

    title: str
    model: str
    fallbacks: tuple[str, ...] = ()
    fault: Fault | str | None = None
    key: str = "sk-embedded"
    stream: bool = False
    dialect: DialectName = "new-api"

    @property
    def code(self) -> str:
        """The call of ChatHubmix."""
        written = ", ".join("spare" if one == SPARE else f'"{one}"' for one in self.fallbacks)
        return f'ChatHubmix(model="{self.model}", hub=hub{f", fallbacks=[{written}]" if written else ""})'


SPARE = "spare"
MINI = ("gpt-4o-mini",)
TROUBLES = (
    Trouble("The vendor of gpt-4o is down (503)", "gpt-4o", MINI, "vendor_503"),
    Trouble("The stream is cut before its first word", "gpt-4o", MINI, Fault.cut(1), stream=True),
    Trouble(
        "The stream is cut later, and the hub ends it as if it were whole", "gpt-4o", fault=Fault.cut(4), stream=True
    ),
    Trouble("The model was retired", "gpt-4", MINI, dialect="aihubmix"),
    Trouble("The model is served on /v1/responses only", "o3-pro"),
    Trouble("The account is empty, and there is a second hub", "gpt-4o", (SPARE,), key="sk-empty"),
)


def show_faults() -> None:
    """Ask both clients the same under each fault, and show what a caller sees."""
    compared = find_spec("langchain_openai") is not None
    if not compared:
        screen.line("ChatOpenAI is not installed here: pip install langchain-openai shows it next to ChatHubmix.\n")
    for trouble in TROUBLES:
        screen.line(trouble.title)
        keys = {"sk-empty": "empty"}
        with EmbeddedHub(trouble.dialect, models=MODELS, keys=keys) as server, EmbeddedHub(models=MODELS) as second:
            if compared:
                screen.line(f"  ChatOpenAI   {_plain(trouble, server)}")
            screen.line(f"  ChatHubmix   {_ours(trouble, server, second)}")
        screen.line(f"               {trouble.code}\n")
    _show_budget()


def _plain(trouble: Trouble, server: EmbeddedHub) -> str:
    plain: Any = import_module("langchain_openai")  # no dependency of this project
    _prepare(server, trouble)
    return _told(plain.ChatOpenAI(model=trouble.model, base_url=server.base_url, api_key=trouble.key), trouble, server)


def _ours(trouble: Trouble, server: EmbeddedHub, second: EmbeddedHub) -> str:
    from langchain_hubmix import ChatHubmix

    preset = "aihubmix" if trouble.dialect == "aihubmix" else None
    spare = Hub(base_url=second.base_url, api_key=second.api_key)
    with spare, Hub(preset, base_url=server.base_url, api_key=trouble.key) as hub:
        hub.models.list()
        _prepare(server, trouble)
        fallbacks: Any = [spare if one == SPARE else one for one in trouble.fallbacks]
        return _told(ChatHubmix(model=trouble.model, hub=hub, fallbacks=fallbacks), trouble, server)


def _prepare(server: EmbeddedHub, trouble: Trouble) -> None:
    server.clear()
    if trouble.fault is not None:
        server.fault(trouble.model, trouble.fault, times=None)


def _told(model: Any, trouble: Trouble, server: EmbeddedHub) -> str:
    """Return what a caller sees: the answer and who gave it, or the error."""
    try:
        message = _streamed(model) if trouble.stream else model.invoke(ASKED)
    except (HubmixError, OpenAIError) as error:
        said = str(getattr(error, "message", None) or error).partition(". ")[0]
        return f"{type(error).__name__} after {_requests(server)}: {said[:110]}"
    metadata = message.response_metadata
    served = metadata.get("model_name") or trouble.model
    whole = metadata.get("finish_reason") or metadata.get("status")
    cut = "" if whole else "marked incomplete" if metadata.get("incomplete") else "nothing says that it was cut"
    elsewhere = metadata.get("hub", server.root_url) not in server.root_url
    over = metadata.get("api", "chat")
    facts = [
        f"by {served}{' of the second hub' if elsewhere else ''}",
        _requests(server),
        f"over {over}" if over != "chat" else "",
        cut,
    ]
    return f"{message.text!r} ({', '.join(fact for fact in facts if fact)})"


def _streamed(model: Any) -> Any:
    """Return the sum of the pieces of a stream."""
    whole = None
    for piece in model.stream(ASKED):
        whole = piece if whole is None else whole + piece
    return whole


def _requests(server: EmbeddedHub) -> str:
    sent = [request for request in server.requests if request.method == "POST"]
    return f"{len(sent)} request{'' if len(sent) == 1 else 's'}"


def _show_budget() -> None:
    """Ask until a budget refuses the next call, before it is sent."""
    from langchain_hubmix import ChatHubmix

    screen.line("A loop asks on and on, with a budget of $0.003")
    with EmbeddedHub(models=MODELS) as server, Hub(base_url=server.base_url, api_key=server.api_key) as hub:
        hub.models.list()
        model = ChatHubmix(model="gpt-4o", hub=hub, max_tokens=100)
        try:
            with hub.spending(limit="0.003") as spent:
                for _ in range(50):
                    model.invoke(ASKED)
        except HubmixError as error:
            screen.line(f"  ChatHubmix   {_requests(server)}, then {type(error).__name__}; {spent}")
    screen.line('               with hub.spending(limit="0.003") as spent: …')
