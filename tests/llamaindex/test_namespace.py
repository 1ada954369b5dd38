"""The classes under LlamaIndex's own import paths."""

from __future__ import annotations

import importlib

import pytest

import llamaindex_hubmix


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("llama_index.llms.hubmix", "Hubmix"),
        ("llama_index.embeddings.hubmix", "HubmixEmbedding"),
        ("llama_index.postprocessor.hubmix", "HubmixRerank"),
    ],
)
def test_namespace_path_gives_the_same_class(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) is getattr(llamaindex_hubmix, name)
    assert importlib.import_module("llama_index.core").Settings
