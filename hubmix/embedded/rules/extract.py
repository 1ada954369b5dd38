"""The extractive answer: sentences that share words with the question."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from hubmix.embedded.conversation import Conversation, ToolResult
from hubmix.embedded.words import is_question, key_words, sentences, shorten, words

NOTHING_GIVEN = "I am a rule without intelligence, and no text was given to me that answers: {question}"
NOT_FOUND = "The given text does not say."

# Answers to a short text that asks for nothing.
_SMALL_TALK = {
    r"\W*(?:hi|hello|hey|good (?:morning|evening|day)|how are you|你好|您好)\b": "Hello! I am a rule without "
    "intelligence: I answer from the text you give me.",
    r"\W*(?:well, )?(?:thanks|thank you|谢谢)\b": "You are welcome.",
}
_LABEL_OF_TEXT = r"(?:context|documents?|passages?|sources?|text|excerpts?|(?:existing|original) answer)"
_LABEL_OF_QUESTION = r"(?:question|query|user question|human|input|original query is as follows)"
# Where a prompt gives a text to answer from: between dashed lines, in tags, after a label.
_CONTEXTS = (
    re.compile(r"-{5,}[ \t]*\n(?P<given>.*?)-{5,}", re.S),
    re.compile(r"<(context|documents?|sources?)>(?P<given>.*?)</\1>", re.S | re.I),
    re.compile(
        rf"(?:^|\n)[ \t]*(?:[\w',-]{{1,30}} ){{0,16}}{_LABEL_OF_TEXT}(?: for the context)?\s*:\s*\n?(?P<given>.*?)"
        rf"(?=\n[ \t]*(?:{_LABEL_OF_QUESTION}|\w* ?answer|instruction)\s*:|\n(?:We have|-----)|\Z)",
        re.S | re.I,
    ),
)
_ASKED = re.compile(
    rf"(?:^|\n)[ \t]*(?:The )?{_LABEL_OF_QUESTION}\s*:\s*(.+?)(?=\n[ \t]*\w{{1,30}} ?\w{{0,30}}[ \t]*:|\nWe have|\Z)",
    re.S | re.I,
)
_NO_SENTENCE = re.compile(r"[\w ./\\-]{1,40}:\s*\S*|\W*\w*\W*")  # a label, or a single word


def question_in(text: str) -> str:
    """Return what follows `Question:`, else the last question, else all."""
    return str((_ASKED.findall(text) or list(filter(is_question, sentences(text))) or [text])[-1]).strip()


def split_context(text: str) -> tuple[str, str]:
    """Return the context that a prompt gives, and the prompt without it."""
    given, rest = "", text
    for pattern in _CONTEXTS:
        given += "".join(f"{match['given'].strip()}\n" for match in pattern.finditer(rest))
        rest = pattern.sub("\n", rest)
    return (given.strip(), rest) if given.strip() else ("", text)


def ranked(question: str, candidates: Sequence[str]) -> list[int]:
    """Return the indices of the candidates that answer best, best first.

    A word counts for more the fewer candidates have it; long candidates pay a little for their length.
    """
    wanted = set(key_words(question))
    tokens = [key_words(candidate) for candidate in candidates]
    frequency = Counter(word for found in tokens for word in set(found))
    scores = [
        sum(math.log(1 + len(tokens) / frequency[word]) for word in wanted & set(found)) / (1 + 0.02 * len(found))
        for found in tokens
    ]
    best = max(scores, default=0)
    return sorted((i for i, score in enumerate(scores) if score and score >= 0.6 * best), key=lambda i: -scores[i])


def best_sentences(question: str, text: str, limit: int = 2) -> str:
    """Return up to `limit` sentences that answer best, in their order."""
    said = [one for one in sentences(text) if not is_question(one) and not _NO_SENTENCE.fullmatch(one)]
    return " ".join(said[index] for index in sorted(ranked(question, said)[:limit]))


def answer(conversation: Conversation) -> str:
    """Return the answer to the last user message.

    It is looked for in the context of the message, then of the system message, then in the rest of the message, in
    what the user said before, and in the system message.
    """
    user = conversation.user
    for pattern, said in _SMALL_TALK.items() if len(words(user)) <= 8 else ():
        if re.match(pattern, user, re.I):
            return said
    own_context, asking = split_context(user)
    question = question_in(asking)
    given = own_context or split_context(conversation.system)[0]
    if given:
        return best_sentences(question, given) or NOT_FOUND
    rest = user.replace(question, " ") if question != user.strip() else ""
    texts = (rest, conversation.earlier, conversation.system)
    found = next(filter(None, (best_sentences(question, text, limit=1) for text in texts)), "")
    return found or NOTHING_GIVEN.format(question=shorten(question, 200) or "(nothing)")


def from_results(results: Sequence[ToolResult]) -> str:
    """Return a single tool result as it is, several each after its first argument."""
    results = [result for result in results if result.name != "handoff"] or results
    if len(results) == 1:
        return results[0].text.strip() or "The tool returned nothing."
    return "\n".join({f"{next(iter(r.arguments.values()), r.name)}: {shorten(r.text, 300)}": 0 for r in results})
