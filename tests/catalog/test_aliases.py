"""Which model a name means: the steps, in their order."""

from __future__ import annotations

import pytest

from hubmix.catalog.aliases import AliasIndex, same_model

AIHUBMIX = (
    "gpt-4o",
    "gpt-4o-mini",
    "claude-sonnet-4-6",
    "DeepSeek-V3.1-Think",
    "ByteDance-Seed/Seed-OSS-36B-Instruct",
    "auto",
)
AIHUBAPI = ("gpt-4o", "claude-sonnet-4.6", "openai/o3", "meta-llama/Llama-3.3-70B", "qwen/qwen3:free")


@pytest.mark.parametrize(
    ("ids", "name", "expected"),
    [
        (AIHUBMIX, "gpt-4o", "gpt-4o"),
        (AIHUBMIX, "GPT-4o", "gpt-4o"),
        (AIHUBMIX, "openai/gpt-4o", "gpt-4o"),
        (AIHUBMIX, "OpenAI/GPT-4O", "gpt-4o"),
        (AIHUBMIX, "anthropic/claude-sonnet-4.6", "claude-sonnet-4-6"),
        (AIHUBMIX, "claude-sonnet-4.6", "claude-sonnet-4-6"),
        (AIHUBMIX, "claude_sonnet_4_6", "claude-sonnet-4-6"),
        (AIHUBMIX, "deepseek-v3.1-think", "DeepSeek-V3.1-Think"),
        (AIHUBMIX, "seed-oss-36b-instruct", "ByteDance-Seed/Seed-OSS-36B-Instruct"),
        (AIHUBMIX, "gateway/openai/gpt-4o", "gpt-4o"),
        (AIHUBAPI, "gpt-4o", "gpt-4o"),
        (AIHUBAPI, "openai/gpt-4o", "gpt-4o"),
        (AIHUBAPI, "claude-sonnet-4-6", "claude-sonnet-4.6"),
        (AIHUBAPI, "o3", "openai/o3"),
        (AIHUBAPI, "O3", "openai/o3"),
        (AIHUBAPI, "llama-3-3-70b", "meta-llama/Llama-3.3-70B"),
        (AIHUBAPI, "qwen3:free", "qwen/qwen3:free"),
        (AIHUBAPI, " gpt-4o ", "gpt-4o"),
    ],
)
def test_a_name_and_the_id_it_means(ids: tuple[str, ...], name: str, expected: str) -> None:
    assert AliasIndex(ids, {}).match(name).only == expected


@pytest.mark.parametrize("name", ["gpt-4", "gpt-4o-minii", "", "/", "gpt-4o/", "4o", "gpt 4o", "*"])
def test_nothing_is_guessed(name: str) -> None:
    match = AliasIndex(AIHUBMIX, {}).match(name)
    assert (match.choices, match.only, match.ambiguous) == ((), None, False)


def test_the_exact_id_wins_over_everything_but_the_users_alias() -> None:
    ids = ("gpt-4o", "GPT-4o", "openai/gpt-4o")
    index = AliasIndex(ids, {"gpt-4o": "openai/gpt-4o"})
    assert index.match("gpt-4o").only == "openai/gpt-4o"
    assert AliasIndex(ids, {}).match("gpt-4o").only == "gpt-4o"
    assert AliasIndex(ids, {}).match("GPT-4o").only == "GPT-4o"


def test_the_first_step_that_finds_several_is_ambiguous() -> None:
    assert AliasIndex(("Model-A", "model-a", "x/model-a"), {}).match("MODEL-A").choices == ("Model-A", "model-a")
    assert AliasIndex(("a/m", "b/m"), {}).match("m").choices == ("a/m", "b/m")
    assert AliasIndex(("m-1.5", "m-1_5"), {}).match("m-1-5").choices == ("m-1.5", "m-1_5")


def test_alias_of_an_unlisted_model_is_followed_once() -> None:
    index = AliasIndex(AIHUBMIX, {"fast": "gpt-9", "smart": "fast", "claude": "anthropic/claude-sonnet-4.6"})
    assert index.match("fast").only == "gpt-9"
    assert index.match("smart").only == "fast"
    assert index.match("claude").only == "claude-sonnet-4-6"


def test_suggestions_are_for_typing_errors() -> None:
    index = AliasIndex((*AIHUBMIX, *AIHUBAPI), {})
    assert index.suggest("gpt-4o-minii")[0] == "gpt-4o-mini"
    assert index.suggest("opanai/gpt-4oo")[0] == "gpt-4o"
    assert index.suggest("lama-3.3-70b") == ("meta-llama/Llama-3.3-70B",)
    assert index.suggest("completely different") == ()
    assert len(index.suggest("gpt-4", limit=1)) == 1


def test_same_model() -> None:
    assert same_model("openai/GPT-4o", "gpt-4o")
    assert same_model("claude-sonnet-4.6", "anthropic/claude-sonnet-4-6")
    assert not same_model("gpt-4o", "gpt-4o-mini")
