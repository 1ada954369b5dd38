"""LangChain's standard suites for embeddings, in full."""

from __future__ import annotations

from typing import Any

from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from langchain_hubmix import HubmixEmbeddings

PARAMS = {"model": "embedded/embed"}


class TestUnit(EmbeddingsUnitTests):
    embeddings_class = HubmixEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return PARAMS

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"HUBMIX_API_KEY": "sk-test", "HUBMIX_BASE_URL": "https://hub.example/v1"}, PARAMS, PARAMS


class TestIntegration(EmbeddingsIntegrationTests):
    embeddings_class = HubmixEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return PARAMS
