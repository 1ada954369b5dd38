"""The extractive answer: the sentences of the given text that share most words with the question, and nothing else."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from hubmix.embedded.rules.conversation import Conversation
from hubmix.embedded.rules.text import is_question, key_words, sentences, shorten, unique, words

NOTHING_GIVEN = "I am a rule without intelligence, and no text was given to me that answers: {question}"
NOT_FOUND = "The given text does not say."

_GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|evening|day)|how are you|how do you do|nice to meet you|你好|您好)\b", re.I
)
_THANKS = re.compile(r"^\W*(?:thanks|thank you|well, thanks|谢谢)\b", re.I)
_FENCED = re.compile(r"-{5,}[ \t]*\n(.*?)-{5,}", re.S)
_TAGGED = re.compile(r"<(context|documents?|sources?)>(.*?)</\1>", re.S | re.I)
_LABELLED = re.compile(
    r"(?:^|\n)[ \t]*(?:[\w',-]{1,30} ){0,16}(?:context|documents?|passages?|sources?|text|excerpts?)"
    r"(?: for the context)?\s*:\s*\n?(.*?)"
    r"(?=\n[ \t]*(?:question|query|user question|instruction|answer|helpful answer)\s*:|\Z)",
    re.S | re.I,
)
_ASKED = re.compile(
    r"(?:^|\n)[ \t]*(?:question|query|user question|user query|human|input)\s*:\s*"
    r"(.+?)(?=\n[ \t]*\w{1,30} ?\w{0,30}[ \t]*:|\Z)",
    re.S | re.I,
)


def question_in(text: str) -> str:
    """The question inside a prompt: after ``Question:`` or ``Query:``, else its last question, else all of it."""
    asked = _ASKED.findall(text)
    if asked:
        return str(asked[-1]).strip()
    asking = [sentence for sentence in sentences(text) if is_question(sentence)]
    return asking[-1] if asking else text.strip()


def context_in(text: str) -> str:
    """The text a prompt gives to answer from: between dashed lines, in tags, or after ``Context:``; "" without one."""
    return _split(text)[0]


def _split(text: str) -> tuple[str, str]:
    """The context that a prompt gives, and the prompt without it: its words are not asked for."""
    for pattern, group in ((_FENCED, 1), (_TAGGED, 2), (_LABELLED, 1)):
        found = [match.group(group).strip() for match in pattern.finditer(text)]
        found = [part for part in found if part]
        if found:
            return "\n".join(found), pattern.sub("\n", text)
    return "", text


def small_talk(text: str) -> str | None:
    """The plain answer to a greeting or thanks that asks for nothing else."""
    if len(words(text)) > 8:
        return None
    if _GREETING.match(text):
        return "Hello! I am a rule without intelligence: I answer from the text you give me."
    return "You are welcome." if _THANKS.match(text) else None


def ranked(question: str, candidates: Sequence[str]) -> list[tuple[float, int]]:
    """The candidates that share a word with the question, best first, as score and index.

    A word counts for more the fewer candidates have it; long candidates pay a little for their length.
    """
    wanted = set(key_words(question))
    tokens = [key_words(candidate) for candidate in candidates]
    document_counts = Counter(word for found in tokens for word in set(found))
    scored = []
    for index, found in enumerate(tokens):
        shared = wanted & set(found)
        if shared:
            weight = sum(math.log(1 + len(tokens) / document_counts[word]) for word in shared)
            scored.append((weight / (1 + 0.02 * len(found)), index))
    return sorted(scored, key=lambda item: (-item[0], item[1]))


def best_sentences(question: str, text: str, limit: int = 2) -> str:
    """Up to `limit` sentences of `text` that answer best, in their order; "" where none shares a word."""
    candidates = [
        sentence for sentence in unique(sentences(text)) if not is_question(sentence) and not _is_label(sentence)
    ]
    scored = ranked(question, candidates)
    if not scored:
        return ""
    best = scored[0][0]
    chosen = sorted(index for score, index in scored[:limit] if score >= 0.6 * best)
    return " ".join(candidates[index] for index in chosen)


def _is_label(sentence: str) -> bool:
    return bool(re.fullmatch(r"[\w ./\\-]{1,40}:\s*\S*", sentence)) or len(words(sentence)) < 2


def answer(conversation: Conversation) -> str:
    """The extractive answer to the last user message.

    The text searched is, in this order: the context that the message itself gives, the context in the system message,
    what the user said earlier, and what else the message says beside its question.
    """
    user = conversation.user
    talk = small_talk(user)
    if talk:
        return talk
    own_context, asking = _split(user)
    question = question_in(asking)
    for given in (own_context, context_in(conversation.system)):
        if given:
            return best_sentences(question, given) or NOT_FOUND
    said = [text for role, text in conversation.earlier if role == "user"]
    rest = user.replace(question, " ") if question != user.strip() else ""
    for given in (rest, "\n".join(said), conversation.system):
        found = best_sentences(question, given, limit=1) if given.strip() else ""
        if found:
            return found
    return (
        NOTHING_GIVEN.format(question=shorten(question, 200))
        if question
        else NOTHING_GIVEN.format(question="(nothing)")
    )


def from_results(conversation: Conversation) -> str:
    """The answer out of the tools' results: a single short one as it is, several each after its first argument."""
    results = [result for result in conversation.results if result.name != "handoff"] or list(conversation.results)
    if len(results) == 1:
        text = results[0].text.strip()
        if len(text) <= 600:
            return text or "The tool returned nothing."
        return best_sentences(question_in(conversation.user), text, limit=3) or shorten(text, 600)
    lines = []
    for result in results:
        label = next(
            (str(value) for value in result.arguments.values() if isinstance(value, str | int | float)), result.name
        )
        lines.append(f"{label}: {shorten(result.text, 300)}")
    return "\n".join(unique(lines))
