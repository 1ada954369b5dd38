"""A recorded answer of a gateway, as something that a hub gives to any call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.cases.ways import WAYS, Way
from tests.cassettes.format import Interaction
from tests.gateway.pages import recorded
from tests.gateway.table import Case, Expected, table
from tests.support.answers import Answer

VERBS = {"embeddings": "embed", "rerank": "rerank", "responses": "responses"}  # by the path; any other path is a chat


@dataclass(frozen=True, slots=True)
class Played:
    """One recorded answer, what it means, and over which API it is played."""

    id: str
    step: Expected
    came: Interaction
    wire: bool  # the request is none of ours, so the API that it is played over may read it as another kind

    @property
    def verb(self) -> str:
        return VERBS.get(urlsplit(self.came.uri).path.rpartition("/")[2], "chat")

    @property
    def streamed(self) -> bool:
        return b'"stream":true' in self.came.request_body.replace(b" ", b"")

    @property
    def answer(self) -> Answer:
        headers = {name: values[0] for name, values in self.came.response_headers.items()}
        kind = headers.pop("content-type", "")
        return Answer(self.came.response_body, self.came.status, kind, headers)

    @property
    def ways(self) -> list[Way]:
        """The ways to meet this: a refusal in all, a body in those of its own form."""
        if self.verb in ("embed", "rerank"):
            return [way for way in WAYS if not way.stream]
        return [way for way in WAYS if self.came.status >= 400 or way.stream is self.streamed]

    @property
    def helped(self) -> bool:
        """Whether hub B is asked: no for a bad request, and after the first word."""
        kind = self.step.kind
        if kind is None or self.step.fails == "interrupted":
            return False
        return kind.scope != "request" or kind.action != "fail"


def _played(case: Case) -> Iterator[Played]:
    answers = [each for each in recorded(case) if each.status != 301]  # a redirect is no answer
    for number, (step, came) in enumerate(zip(case.steps, answers, strict=True)):
        if step.fails or (came.method == "POST" and not case.wire):  # a page that came is no answer to a call
            name = f"{case.id}-{number + 1}" if len(answers) > 1 else case.id
            yield Played(name, step, came, case.wire is not None)


PLAYED = [played for case in table().values() for played in _played(case)]
