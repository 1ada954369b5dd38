"""The exceptions of `langchain_hubmix` are those of both, and pickle."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from langchain_core import exceptions as core
from langchain_core.documents import Document

import hubmix
from hubmix import errors
from langchain_hubmix import ChatHubmix, HubmixEmbeddings, HubmixRerank, _errors
from langchain_hubmix._errors import adopt, raises_langchain_errors

MEANINGS = {
    "HubmixError": "ModelError",
    "ConfigurationError": "ModelError",
    "AuthenticationError": "ModelAuthenticationError",
    "PermissionDeniedError": "ModelPermissionDeniedError",
    "QuotaExceededError": "ModelPermissionDeniedError",
    "RateLimitedError": "ModelRateLimitError",
    "BadRequestError": "ModelInvalidRequestError",
    "ContextLengthError": "ContextOverflowError",
    "CapabilityError": "ModelInvalidRequestError",
    "ContentFilterError": "ModelInvalidRequestError",
    "ModelNotFoundError": "ModelNotFoundError",
    "ModelUnavailableError": "ModelAPIError",
    "ServerError": "ModelAPIError",
    "HubTimeoutError": "ModelTimeoutError",
    "HubConnectionError": "ModelConnectionError",
    "EndpointError": "ModelConnectionError",
    "MalformedAnswerError": "ModelAPIError",
    "StreamInterruptedError": "ModelConnectionError",
    "CatalogError": "ModelError",
    "StructuredOutputError": "ModelError",
    "RefusalError": "ModelRefusalError",
}
EVERY_CLASS = [getattr(errors, name) for name in MEANINGS]


def a_group() -> errors.AllModelsFailedError:
    group = errors.AllModelsFailedError("x", [errors.RateLimitedError("y", status=429), errors.ServerError("z")])
    adopt(group)
    return group


@pytest.mark.parametrize("cls", EVERY_CLASS)
def test_class_is_langchains_of_the_same_meaning(cls: type[errors.HubmixError]) -> None:
    error = cls("what happened", status=500)
    adopt(error)
    # ModelRefusalError came with langchain-core 1.7.5.
    assert isinstance(error, getattr(core, MEANINGS[cls.__name__], core.ModelError))
    assert isinstance(error, cls)
    assert type(error) is getattr(_errors, cls.__name__)
    assert error.is_retryable is cls.is_retryable
    assert (str(error), error.status) == ("what happened", 500)


@pytest.mark.parametrize("cls", EVERY_CLASS)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy, copy.copy])
def test_copies_keep_class_and_details(cls: type[errors.HubmixError], again: object) -> None:
    error = getattr(_errors, cls.__name__)("what happened", status=500)
    back = again(error)  # type: ignore[operator]
    assert type(back) is type(error)
    assert back.__dict__ == error.__dict__
    assert str(back) == "what happened"


def test_group_adopts_its_parts_and_splits() -> None:
    group = a_group()
    assert isinstance(group, core.ModelError)
    assert [type(part) for part in group.exceptions] == [_errors.RateLimitedError, _errors.ServerError]
    back = pickle.loads(pickle.dumps(group))
    assert isinstance(back.exceptions[0], core.ModelRateLimitError)
    limited, _ = group.split(hubmix.RateLimitedError)
    assert limited is not None
    assert limited.exceptions[0].status == 429  # type: ignore[union-attr]


def test_users_subclass_is_left_as_it_is() -> None:
    class OurOwn(errors.ServerError):
        pass

    error = OurOwn("x")
    adopt(error)
    assert type(error) is OurOwn


class OurOwnLangChainError(_errors.ServerError):
    """A user's subclass."""


def test_users_subclass_pickles_as_itself() -> None:
    assert type(pickle.loads(pickle.dumps(OurOwnLangChainError("x")))) is OurOwnLangChainError


def test_process_without_langchain_reads_the_plain_class() -> None:
    reader = """
import pickle, sys
sys.modules["langchain_core"] = None
error = pickle.loads(sys.stdin.buffer.read())
import hubmix.errors
assert type(error) is hubmix.errors.AllModelsFailedError, type(error)
assert type(error.exceptions[0]) is hubmix.errors.RateLimitedError
assert error.exceptions[0].status == 429 and error.exceptions[0].is_retryable
sys.stdout.buffer.write(pickle.dumps(error))
"""
    data = pickle.dumps(a_group())
    read = subprocess.run([sys.executable, "-c", reader], input=data, capture_output=True, timeout=60, check=False)
    assert read.returncode == 0, read.stderr.decode()
    back = pickle.loads(read.stdout)
    assert type(back) is errors.AllModelsFailedError


def test_hubmix_alone_never_imports_langchain() -> None:
    program = """
import sys
from hubmix.errors import *
error = AllModelsFailedError("x", [RateLimitedError("y", status=429)])
assert type(error.exceptions[0]) is RateLimitedError
assert "langchain_core" not in sys.modules, "imported"
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr.decode()


def fail() -> None:
    raise errors.RateLimitedError("slow down")


@raises_langchain_errors
def pieces() -> Iterator[int]:
    yield 1
    fail()


@raises_langchain_errors
async def async_pieces() -> AsyncIterator[int]:
    yield 1
    fail()


@raises_langchain_errors
async def awaited() -> None:
    fail()


async def test_every_form_of_method_is_converted() -> None:
    with pytest.raises(core.ModelRateLimitError) as caught:
        raises_langchain_errors(fail)()
    assert isinstance(caught.value, hubmix.RateLimitedError)
    assert caught.value.__context__ is None
    stream = pieces()
    assert next(stream) == 1
    with pytest.raises(core.ModelRateLimitError):
        next(stream)
    async_stream = async_pieces()
    assert await anext(async_stream) == 1
    with pytest.raises(core.ModelRateLimitError):
        await anext(async_stream)
    with pytest.raises(core.ModelRateLimitError):
        await awaited()


NOWHERE: dict[str, Any] = {"base_url": "http://127.0.0.1:9/v1", "api_key": "sk-test", "max_retries": 0}


@pytest.mark.parametrize(
    "make",
    [
        lambda: ChatHubmix(model="m", temprature=0, **NOWHERE),
        lambda: HubmixEmbeddings(**NOWHERE),
        lambda: ChatHubmix(model="m", **NOWHERE).invoke("hi"),
        lambda: next(iter(ChatHubmix(model="m", **NOWHERE).stream("hi"))),
        lambda: ChatHubmix(model="m", fallbacks=["n"], **NOWHERE).invoke("hi"),
        lambda: ChatHubmix(model="m", **NOWHERE).bind_tools([fail], tool_choice="nobody"),
        lambda: HubmixEmbeddings(model="m", **NOWHERE).embed_query("hi"),
        lambda: HubmixEmbeddings(model="m", chunk_size=1, **NOWHERE).embed_documents(["a", "b"]),
        lambda: HubmixRerank(model="m", **NOWHERE).compress_documents([Document("a")], "hi"),
    ],
)
def test_every_door_raises_errors_of_both(make: Callable[[], object]) -> None:
    with pytest.raises(core.ModelError) as caught:
        make()
    assert isinstance(caught.value, hubmix.HubmixError)


async def test_every_async_door_raises_errors_of_both() -> None:
    chat = ChatHubmix(model="m", fallbacks=["n"], **NOWHERE)
    with pytest.raises(core.ModelError) as caught:
        await chat.ainvoke("hi")
    assert isinstance(caught.value, hubmix.HubConnectionError)
    with pytest.raises(core.ModelError):
        await anext(aiter(chat.astream("hi")))
    with pytest.raises(core.ModelConnectionError):
        await HubmixEmbeddings(model="m", **NOWHERE).aembed_documents(["a"])
    with pytest.raises(core.ModelConnectionError):
        await HubmixRerank(model="m", **NOWHERE).acompress_documents([Document("a")], "hi")
    (failed,) = await ChatHubmix(model="m", **NOWHERE).abatch(["hi"], return_exceptions=True)
    assert isinstance(failed, core.ModelConnectionError)
