"""Models under well-known names for the embedded hub.

Only the names are borrowed: every one of them answers by a rule. Windows and prices follow the vendors' public lists of
late 2025 and are examples; what a hub serves and charges, its own catalog says.
"""

from __future__ import annotations

from hubmix.embedded.models import EmbeddedModel, Registry

__all__ = ["sample_models"]

_CHAT = ("tools", "function_calling", "structured_outputs")
_THINKING = ("thinking", *_CHAT)
_IMAGES = ("text", "image")
_FILES = ("text", "image", "pdf")
_MEDIA = ("text", "image", "audio", "video", "pdf")

# id, owner, rule, features, modalities, window and longest answer (tokens), price (USD per million tokens: input,
# output, read from the prompt cache)
_CHAT_MODELS = (
    ("gpt-5", "OpenAI", "think", _THINKING, _IMAGES, 400_000, 128_000, (1.25, 10.0, 0.125)),
    ("gpt-5-mini", "OpenAI", "think", _THINKING, _IMAGES, 400_000, 128_000, (0.25, 2.0, 0.025)),
    ("gpt-4.1-mini", "OpenAI", "extract", _CHAT, _IMAGES, 1_047_576, 32_768, (0.4, 1.6, 0.1)),
    ("gpt-4o", "OpenAI", "extract", _CHAT, _IMAGES, 128_000, 16_384, (2.5, 10.0, 1.25)),
    ("gpt-4o-mini", "OpenAI", "extract", _CHAT, _IMAGES, 128_000, 16_384, (0.15, 0.6, 0.075)),
    ("claude-sonnet-4-6", "Anthropic", "extract", _THINKING, _FILES, 200_000, 64_000, (3.0, 15.0, 0.3)),
    ("claude-haiku-4-5", "Anthropic", "extract", _THINKING, _FILES, 200_000, 64_000, (1.0, 5.0, 0.1)),
    ("gemini-2.5-pro", "Google", "think", _THINKING, _MEDIA, 1_048_576, 65_536, (1.25, 10.0, 0.125)),
    ("gemini-2.5-flash", "Google", "extract", _CHAT, _MEDIA, 1_048_576, 65_536, (0.3, 2.5, 0.03)),
    ("gemini-2.5-flash-lite", "Google", "extract", _CHAT, _MEDIA, 1_048_576, 65_536, (0.1, 0.4, 0.01)),
    ("deepseek-chat", "DeepSeek", "extract", ("tools", "function_calling"), ("text",), 128_000, 8_192,
     (0.28, 0.42, 0.028)),
    ("deepseek-reasoner", "DeepSeek", "think", ("thinking",), ("text",), 128_000, 65_536, (0.28, 0.42, 0.028)),
    ("kimi-k2-thinking", "Moonshot", "think", _THINKING, ("text",), 262_144, 32_768, (0.6, 2.5, 0.15)),
    ("glm-4.6", "Zhipu", "extract", _CHAT, ("text",), 200_000, 128_000, (0.6, 2.2, 0.11)),
)  # fmt: skip
_VECTOR_MODELS = (
    ("text-embedding-3-small", "OpenAI", "embed", "embedding", 8_191, (0.02, 0.0, 0.0)),
    ("text-embedding-3-large", "OpenAI", "embed", "embedding", 8_191, (0.13, 0.0, 0.0)),
    ("jina-reranker-v3", "Jina", "rerank", "rerank", 131_072, (0.05, 0.0, 0.0)),
)


def sample_models() -> Registry:
    """Return the sample for `EmbeddedHub("aihubmix", models=sample_models())`."""
    chat = [
        EmbeddedModel(
            name, rule, _described(name, rule), "llm", window, longest, features, modalities, price, owner
        )
        for name, owner, rule, features, modalities, window, longest, price in _CHAT_MODELS
    ]  # fmt: skip
    vectors = [
        EmbeddedModel(name, rule, _described(name, rule), kind, window, 0, (), price=price, owner=owner)
        for name, owner, rule, kind, window, price in _VECTOR_MODELS
    ]
    return Registry({model.id: model for model in (*chat, *vectors)})


def _described(name: str, rule: str) -> str:
    return f"A rule without intelligence under the name of {name}: answers as embedded/{rule} does."
