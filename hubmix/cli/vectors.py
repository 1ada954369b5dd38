"""`hubmix embed` and `hubmix rerank`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hubmix.cli import screen
from hubmix.cli.chat import given, options_of, piped_input
from hubmix.cli.connection import BaseUrl, Fallback, HubName, Json, connect
from hubmix.errors import CatalogError, ConfigurationError


def embed(
    context: typer.Context,
    text: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Texts; without them, lines of stdin.")
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", metavar="ID", help="The model ID.")] = "text-embedding-3-small",
    dimensions: Annotated[int | None, typer.Option("--dimensions", metavar="N", min=1, help="Shorter vectors.")] = None,
    fallback: Fallback = None,
    as_json: Json = False,
    hub: HubName = None,
    base_url: BaseUrl = None,
) -> None:
    """Turn texts into vectors.

    In a pipe, or with --json, one line of JSON for each text: index, text, embedding. On a terminal, how alike the
    texts are (cosine). Only another hub's same model can be a fallback: vectors of two models do not mix.

    Examples:

        hubmix embed "a cat" "a kitten" "an invoice"
        hubmix embed --dimensions 256 --json < lines.txt > vectors.jsonl
        hubmix embed "a cat" --fallback aihubapi/text-embedding-3-small
    """
    texts = list(text or ()) or _lines(piped_input())
    if not texts:
        raise ConfigurationError('Nothing to embed: hubmix embed "a cat" "a kitten", or pipe in one text a line.')
    payload = given(model=model, input=texts, dimensions=dimensions)
    with connect(context, hub, base_url) as connection:
        connection.models.warm()
        reply = connection.embed(payload, options_of(fallback))
        try:
            cost: Any = connection.models.cost(model, reply.usage)
        except CatalogError:
            cost = "cost unknown"
    if as_json or not screen.on_terminal(sys.stdout):
        for index, (said, vector) in enumerate(zip(texts, reply.vectors, strict=True)):
            screen.line(json.dumps({"index": index, "text": said, "embedding": vector}, ensure_ascii=False))
    else:
        _show_alike(texts, reply.vectors)
    tokens = f"{reply.usage.input_tokens:,} tokens" if reply.usage else "tokens unknown"
    size = len(reply.vectors[0]) if reply.vectors else 0
    screen.note(f"{model} · {len(texts)} × {size} dimensions · {tokens} · {cost}")


def _show_alike(texts: Sequence[str], vectors: Sequence[Sequence[float]]) -> None:
    heads = [f"{index + 1}" for index in range(len(texts))]
    rows = [
        (f"{index + 1}", _short(text), *(f"{cosine(vectors[index], other):.3f}" for other in vectors))
        for index, text in enumerate(texts)
    ]
    screen.table(("", "text", *heads), rows, numeric=range(2, 2 + len(texts)))


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """How alike two vectors are, from -1 to 1; 0 where one of them has no length."""
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def rerank(
    context: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What the documents are judged by.")],
    document: Annotated[
        list[str] | None, typer.Argument(metavar="DOCUMENT", help="Texts; without them, lines of stdin.")
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", metavar="FILE", help="A text file as a document; repeatable.")
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", metavar="ID", help="The model ID.")] = "jina-reranker-v3",
    top_n: Annotated[int | None, typer.Option("--top-n", "-n", metavar="N", min=1, help="Only the best.")] = None,
    fallback: Fallback = None,
    as_json: Json = False,
    hub: HubName = None,
    base_url: BaseUrl = None,
) -> None:
    """Order texts by how well they answer a query, the best first.

    The index of a document is its place among those that were given, from 0.

    Examples:

        hubmix rerank "How much water?" "It holds 1.7 litres." "It is red."
        hubmix rerank "kettle" --file kettle.md --file toaster.md --json
    """
    names, documents = _documents(document or [], file or [])
    payload = given(model=model, query=query, documents=documents, top_n=top_n)
    with connect(context, hub, base_url) as connection:
        results = connection.rerank(payload, options_of(fallback)).results[:top_n]  # not every hub cuts the list
    if as_json:
        found = [
            {"index": one.index, "score": one.score, "document": documents[one.index], "name": names[one.index] or None}
            for one in results
        ]
        screen.as_json(found)
        return
    rows = [(f"{one.score:.4f}", f"{one.index}", names[one.index] or _short(documents[one.index])) for one in results]
    screen.table(("score", "index", "document"), rows, numeric=(0, 1))


def _documents(given: Sequence[str], files: Sequence[Path]) -> tuple[list[str], list[str]]:
    names, documents = [""] * len(given), list(given)
    for path in files:
        try:
            documents.append(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} cannot be read as text: {error}") from error
        names.append(path.name)
    if not documents:
        documents = _lines(piped_input())
        names = [""] * len(documents)
    if not documents:
        raise ConfigurationError("Nothing to order: give documents, --file, or pipe in one document a line.")
    return names, documents


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:97] + "..."
