"""The models of the embedded hub, which are rules without intelligence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

_RULE = "A rule without intelligence: "


@dataclass(frozen=True, slots=True)
class Tier:
    """The prices of prompts up to a length; USD per million tokens.

    Args:
        up_to: the longest prompt in tokens; None for any length.
    """

    up_to: int | None
    input: float
    output: float


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """One model: its rule and what the catalog says of it.

    Args:
        id: The id that requests name.
        rule: What it does: `extract`, `think`, `think-strict`, `echo`, `refuse`, `filter`, `vision`,
            `lorem`, `embed` or `rerank`.
        kind: `llm`, `embedding` or `rerank`, as AIHubMix's catalog names them.
        context_length: Tokens of the prompt above which a call is refused with `context_length_exceeded`.
        max_output: The most tokens of an answer, also where the request names no `max_tokens`.
        features: AIHubMix's words: `tools`, `function_calling`, `structured_outputs`, `thinking`, `long_context`. With
            `redacted_thinking` a model that thinks adds a redacted block over `/v1/messages`.
        modalities: `text`, `image`, `audio`, `pdf`, `video`.
        price: USD per million tokens: input, output and cache read.
        owner: The vendor named in `owned_by`.
        dimensions: Of an embedding.
        apis: on which the model is served, the one that suits it best first: `chat`, `responses`, `messages`.
        served_by: the model that answers, and is billed, in its place.
        retire_stage: `deprecating` or `retired`; with `retired_at` (ISO 8601) and the ID of its successor.
        tiers: prices by the length of the prompt, shortest first, in place of `price`.
    """

    id: str
    rule: str = "extract"
    description: str = ""
    kind: str = "llm"
    context_length: int = 131_072
    max_output: int = 8_192
    features: tuple[str, ...] = ("tools", "function_calling", "structured_outputs")
    modalities: tuple[str, ...] = ("text",)
    price: tuple[float, float, float] = (0.15, 0.6, 0.075)
    owner: str = "embedded"
    dimensions: int = 256
    apis: tuple[str, ...] = ("chat", "responses")
    served_by: str | None = None
    retire_stage: str | None = None
    retired_at: str | None = None
    successor: str | None = None
    tiers: tuple[Tier, ...] = ()

    @property
    def retired(self) -> bool:
        """Whether calls are refused because the model is gone."""
        return self.retire_stage == "retired"

    def cost(self, prompt: int, completion: int) -> float:
        """Return what a call costs in USD."""
        tier = next((tier for tier in self.tiers if tier.up_to is None or prompt <= tier.up_to), None)
        price, output = (tier.input, tier.output) if tier else self.price[:2]
        return (prompt * price + completion * output) / 1e6

    @property
    def takes_tools(self) -> bool:
        """Whether `tools` are taken; the others answer 400."""
        return "tools" in self.features

    @property
    def keeps_schemas(self) -> bool:
        """Whether `response_format` is honoured; the others answer prose."""
        return "structured_outputs" in self.features

    @property
    def thinks(self) -> bool:
        """Whether an answer begins with reasoning."""
        return "thinking" in self.features


_CHAT = ("tools", "function_calling", "structured_outputs")
_THINKING = ("thinking", *_CHAT)
_MEDIA = ("text", "image", "audio", "pdf")
_FREE = (0.0, 0.0, 0.0)

BUILT_IN: tuple[EmbeddedModel, ...] = (
    EmbeddedModel(
        "embedded/extract", "extract",
        _RULE + "copies the sentences of the given text that share most words with the question, and fills tool calls "
        "and JSON schemas with literals of the prompt.",
        modalities=_MEDIA,
    ),
    EmbeddedModel(
        "embedded/think", "think", _RULE + "as embedded/extract, and shows the steps of the rule as reasoning.",
        features=_THINKING, price=(0.55, 2.2, 0.275),
    ),
    EmbeddedModel(
        "embedded/think-strict", "think-strict",
        _RULE + "as embedded/think, and refuses a history whose tool calls come without the reasoning it gave.",
        features=_THINKING, price=(0.55, 2.2, 0.275),
    ),
    EmbeddedModel(
        "embedded/no-tools", "extract", _RULE + "as embedded/extract, but refuses tools.",
        features=("structured_outputs",),
    ),
    EmbeddedModel(
        "embedded/no-schema", "extract",
        _RULE + "as embedded/extract, but ignores response_format and answers prose.",
        features=("tools", "function_calling"),
    ),
    EmbeddedModel(
        "embedded/text", "extract", _RULE + "as embedded/extract, free of charge, with a window of 2,048 tokens.",
        context_length=2_048, max_output=512, features=(), price=_FREE,
    ),
    EmbeddedModel("embedded/echo", "echo", _RULE + "answers with the last user text, unchanged.", price=_FREE),
    EmbeddedModel("embedded/refuse", "refuse", _RULE + "refuses everything."),
    EmbeddedModel("embedded/filter", "filter", _RULE + "is stopped by a content filter in the middle of every answer."),
    EmbeddedModel(
        "embedded/vision", "vision", _RULE + "counts the images, sounds and files it was sent.",
        modalities=(*_MEDIA, "video"),
    ),
    EmbeddedModel(
        "embedded/lorem", "lorem", _RULE + "N pieces of a fixed text, for measuring; ask for embedded/lorem:N.",
        max_output=1_000_000, price=_FREE,
    ),
    EmbeddedModel(
        "embedded/embed", "embed", _RULE + "hashes words and letter n-grams into a unit vector.",
        "embedding", 8_192, 0, (), price=(0.02, 0.0, 0.0),
    ),
    EmbeddedModel(
        "embedded/embed-small", "embed", _RULE + "as embedded/embed, with 64 dimensions, free of charge.",
        "embedding", 8_192, 0, (), price=_FREE, dimensions=64,
    ),
    EmbeddedModel(
        "embedded/rerank", "rerank", _RULE + "scores documents by the words they share with the query.",
        "rerank", 8_192, 0, (), price=(0.02, 0.0, 0.0),
    ),
)  # fmt: skip

_LOREM = re.compile(r"^embedded/lorem:(\d{1,7})$")

Extra = Sequence[str | EmbeddedModel] | Mapping[str, str | EmbeddedModel | Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Registry:
    """The models that a hub serves, by ID; case and prefix matter."""

    by_id: Mapping[str, EmbeddedModel] = field(default_factory=dict)

    @classmethod
    def of(cls, extra: Extra | Registry | None = None) -> Registry:
        """Return the built-in models and more; a registry is returned as it is.

        Args:
            extra: Ids that behave as `embedded/extract`; or a mapping of id to a rule (`"think"`), to the id of a
                built-in model whose description it takes (`"embedded/think"`), or to fields of `EmbeddedModel`.

        Raises:
            ValueError: a rule or a field that does not exist.
        """
        if isinstance(extra, Registry):
            return extra
        models = {model.id: model for model in BUILT_IN}
        items = extra.items() if isinstance(extra, Mapping) else [(_id(entry), entry) for entry in extra or ()]
        for model_id, entry in items:
            models[model_id] = _model(model_id, entry)
        return cls(models)

    def find(self, model_id: str) -> EmbeddedModel | None:
        """The model of this id, or None; `embedded/lorem:N` is one for every N."""
        model = self.by_id.get(model_id)
        if model is None and "embedded/lorem" in self.by_id and _LOREM.match(model_id):
            return replace(self.by_id["embedded/lorem"], id=model_id)
        return model

    def __iter__(self) -> Iterator[EmbeddedModel]:
        return iter(self.by_id.values())


def lorem_length(model_id: str) -> int:
    """The N of `embedded/lorem:N`; 100 for any other id."""
    match = _LOREM.match(model_id)
    return int(match.group(1)) if match else 100


def _id(entry: str | EmbeddedModel) -> str:
    return entry.id if isinstance(entry, EmbeddedModel) else entry


def _model(model_id: str, entry: str | EmbeddedModel | Mapping[str, Any]) -> EmbeddedModel:
    if isinstance(entry, EmbeddedModel):
        return replace(entry, id=model_id)
    fields = {"rule": "extract" if entry == model_id else entry} if isinstance(entry, str) else dict(entry)
    rule = fields.pop("rule", "extract")
    base = _base(rule)
    if base is None:
        known = ", ".join(sorted(model.id.removeprefix("embedded/") for model in BUILT_IN))
        raise ValueError(f"no rule {rule!r} for the model {model_id!r}; there are: {known}")
    try:
        return replace(base, id=model_id, owner=_owner(model_id), **fields)
    except TypeError as error:
        raise ValueError(f"the model {model_id!r}: {error}") from error


def _base(rule: str) -> EmbeddedModel | None:
    name = rule if rule.startswith("embedded/") else f"embedded/{rule}"
    return next((model for model in BUILT_IN if model.id == name), None)


_OWNERS = {
    **dict.fromkeys(("gpt", "o1", "o3", "text-embedding"), "openai"),
    "claude": "claude",
    "gemini": "google gemini",
    "deepseek": "deepseek",
    "jina": "jina",
    "qwen": "ali",
}


def _owner(model_id: str) -> str:
    return next((owner for prefix, owner in _OWNERS.items() if model_id.startswith(prefix)), "custom")


CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4

# A token is a word of up to eight letters with the blanks before it, or one other sign with the blanks before it.
# Streams send one piece an event, and `max_tokens` counts pieces.
_PIECE = re.compile(r"\s*\w{1,8}|\s*[^\w\s]|\s+")


def pieces(text: str) -> list[str]:
    """The tokens of an answer, in order; joined they are the text again."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """The tokens of a text of the prompt: a quarter of its characters, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def count_prompt(texts: Iterable[str]) -> int:
    """The tokens of a prompt whose messages have these texts."""
    return sum(count(text) + TOKENS_PER_MESSAGE for text in texts)
