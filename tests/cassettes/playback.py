"""A cassette in a `with` that must hold each request and be played in full."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vcr

from tests.cassettes import format as cassette_format
from tests.cassettes import matchers
from tests.cassettes.scan import SecretFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vcr.cassette import Cassette
    from vcr.request import Request
    from vcr.serialize import Serializer as VcrSerializer

ROOT = Path(__file__).parents[2] / "cassettes"

# vcrpy looks for all of these for each cassette; Python remembers only what is there.
for name in ("boto3", "botocore", "httplib2", "httpx_curl_cffi", "pyreqwest", "tornado"):
    if find_spec(name) is None:
        sys.modules[name] = None  # type: ignore[assignment]


class CassetteMismatchError(AssertionError):
    """A request that is not in the cassette, or an interaction that was not played."""


class Persister:
    """Reads and writes bytes, so that no platform changes a line ending.

    A recording that would say nothing new leaves its file alone. The interactions of `spare` are read after those of
    the cassette itself.
    """

    def __init__(self, spare: Sequence[Path] = ()) -> None:
        self._spare = spare

    def load_cassette(self, path: str, serializer: VcrSerializer) -> tuple[list[Any], list[Any]]:
        requests: list[Any] = []
        responses: list[Any] = []
        for each in (Path(path), *self._spare):
            try:
                text = each.read_bytes().decode("utf-8")
            except FileNotFoundError:
                raise vcr.cassette.CassetteNotFoundError(each) from None
            more = vcr.serialize.deserialize(text, serializer)
            requests += more[0]
            responses += more[1]
        return requests, responses

    @staticmethod
    def save_cassette(path: str, cassette: Mapping[str, Any], serializer: VcrSerializer) -> None:
        text = vcr.serialize.serialize(cassette, serializer)
        target = Path(path)
        if _says_the_same(target, text):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("utf-8"))


# What a hub makes up anew for every answer.
_MADE_UP = re.compile(rb'("created": ?)\d+|(request id: )[^)]*')


def _says_the_same(target: Path, text: str) -> bool:
    """Return whether only dates, request IDs and the client's version would change."""
    try:
        old = cassette_format.load(target.read_bytes().decode("utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    new = cassette_format.load(text)
    same_test = old.provenance.get("test") == new.provenance.get("test")
    return same_test and [_steady(each) for each in old.interactions] == [_steady(each) for each in new.interactions]


def _steady(interaction: cassette_format.Interaction) -> cassette_format.Interaction:
    headers = {name: value for name, value in interaction.response_headers.items() if not name.endswith("request-id")}
    body = _MADE_UP.sub(rb"\1\2", interaction.response_body)
    return replace(interaction, response_headers=headers, response_body=body)


def configure(recorder: vcr.VCR, serializer: cassette_format.Serializer, spare: Sequence[Path] = ()) -> None:
    """Give `recorder` this package's format, matchers and files.

    The format is called "yaml" because pytest-recording makes the name the end of the file's name.
    """
    recorder.register_serializer("yaml", serializer)
    recorder.register_persister(Persister(spare))
    for name, matcher in matchers.MATCHERS.items():
        recorder.register_matcher(name, matcher)


@contextmanager
def play(
    path: Path, *, spare: Sequence[Path] = (), match_on: tuple[str, ...] = matchers.GATEWAY, repeats: bool = False
) -> Iterator[Cassette]:
    """Answer every request from the cassette at `path`, which must be played in full.

    Those of `spare` may be asked for too, and need not be. With `repeats` a recorded answer is given as often as it is
    asked for: a client that tries again meets the same hub.
    """
    recorder = vcr.VCR(record_mode=vcr.mode.NONE, match_on=match_on)
    serializer = cassette_format.Serializer(name=path.name)
    configure(recorder, serializer, spare)
    with recorder.use_cassette(str(path), allow_playback_repeats=repeats) as cassette:
        misses = note_misses(cassette)
        yield cassette
    verify(cassette, misses, needed=len(Persister().load_cassette(str(path), serializer)[0]) if spare else None)


@contextmanager
def record(path: Path, provenance: Mapping[str, Any]) -> Iterator[Cassette]:
    """Replace the cassette at `path` by what is requested; raise if it holds a secret."""
    recorder = vcr.VCR(record_mode=vcr.mode.ALL, match_on=matchers.OWN)
    configure(recorder, cassette_format.Serializer(provenance, path.name))
    with recorder.use_cassette(str(path), drop_unused_requests=True) as cassette:
        refused = hold_refusals(cassette)
        yield cassette
    if refused:
        raise refused[0]


def hold_refusals(cassette: Cassette) -> list[Exception]:
    """Return a list that fills with what kept `cassette` from being saved.

    vcrpy leaves its patches in place where saving raises; they would come off in the middle of another test.
    """
    refused: list[Exception] = []
    save = cassette._save

    def saving(force: bool = False) -> None:
        try:
            save(force)
        except (SecretFoundError, cassette_format.CassetteDamagedError) as error:
            refused.append(error)

    cassette._save = saving
    return refused


def note_misses(cassette: Cassette) -> list[str]:
    """Return a list that fills with the requests that `cassette` could not answer.

    The SDK turns vcrpy's own exception into a connection error, which a test of failures could take for the right one.
    """
    misses: list[str] = []
    can_play = cassette.can_play_response_for

    def noting(request: Request) -> bool:
        found = bool(can_play(request))
        if not found:
            misses.append(_describe_miss(cassette, request))
        return found

    cassette.can_play_response_for = noting
    return misses


def verify(cassette: Cassette, misses: list[str], needed: int | None = None) -> None:
    """Raise `CassetteMismatchError` unless requests and interactions match."""
    problems = [f"not in the cassette: {miss}" for miss in misses]
    problems += [
        f"never asked for: {index + 1}. {request.method} {request.uri}"
        for index, request in enumerate(cassette.requests[:needed])
        if not cassette.play_counts[index]
    ]
    if not len(cassette):
        problems.append("the cassette is missing or empty; `make record` records those of the embedded hub")
    if problems:
        raise CassetteMismatchError(f"{cassette._path}:\n" + "\n".join(problems))


def _describe_miss(cassette: Cassette, request: Request) -> str:
    nearest = cassette.find_requests_with_most_matches(request)
    reasons = [f"{name}: {why}" for _, _, failed in nearest[:1] for name, why in failed]
    if nearest and not reasons:
        reasons = ["asked for more often than recorded"]
    return f"{request.method} {request.uri}" + (f" ({'; '.join(reasons)})" if reasons else "")
