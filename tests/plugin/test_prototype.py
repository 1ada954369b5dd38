"""Objects made without validation equal those that pydantic has validated."""

from __future__ import annotations

import copy
import pickle

import pytest
from langchain_core.messages import AIMessageChunk
from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
from pydantic import BaseModel, ConfigDict, PrivateAttr

from hubmix.plugin.prototype import Prototype


class Open(BaseModel):
    """A model with everything that pydantic keeps apart from the fields."""

    model_config = ConfigDict(extra="allow")

    text: str
    language: str = "en"
    _seen: dict[str, int] = PrivateAttr(default_factory=dict)


MADE = [
    (Prototype(Open(text="")).new(text="Hello"), Open(text="Hello")),
    (Prototype(AIMessageChunk(content="")).new(content="Hello", tool_calls=[]), AIMessageChunk(content="Hello")),
    (
        Prototype(ChatMessage(role=MessageRole.ASSISTANT, blocks=[])).new(blocks=[TextBlock(text="Hello")]),
        ChatMessage(role=MessageRole.ASSISTANT, blocks=[TextBlock(text="Hello")]),
    ),
]


@pytest.mark.parametrize(("made", "validated"), MADE, ids=lambda one: type(one).__name__)
def test_new_object_equals_a_validated_one(made: BaseModel, validated: BaseModel) -> None:
    assert made == validated
    assert repr(made) == repr(validated)
    assert made.model_fields_set == validated.model_fields_set
    assert made.model_dump() == validated.model_dump()


@pytest.mark.parametrize(("made", "validated"), MADE, ids=lambda one: type(one).__name__)
def test_new_object_can_be_copied_and_pickled(made: BaseModel, validated: BaseModel) -> None:
    for again in (made.model_copy(deep=True), copy.copy(made), pickle.loads(pickle.dumps(made))):
        assert again == validated


def test_change_of_one_object_leaves_the_next_as_it_was() -> None:
    prototype = Prototype(Open(text=""))
    first = prototype.new(text="first")
    first.language = "de"
    first.more = 1  # type: ignore[attr-defined]  # an extra field
    first._seen = {"word": 1}
    second = prototype.new(text="second")
    assert second == Open(text="second")
    assert second.model_extra == {}
    assert second.model_fields_set == {"text"}
