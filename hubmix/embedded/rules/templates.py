"""The prompts of the frameworks' own chains, recognised by their wording and answered in the form they ask for.

An ordered table: the first pattern that matches the last user message answers. What is not here is answered by
extraction.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hubmix.embedded.rules.extract import best_sentences, context_in, question_in, ranked
from hubmix.embedded.rules.literals import read, topic
from hubmix.embedded.rules.text import STOPWORDS, is_question, sentences, shorten, unique, words

_REFINE = re.compile(
    r"original query is as follows: (?P<query>.*?)\nWe have provided an existing answer: (?P<old>.*?)\n"
    r"We have the opportunity.*?"
    r"-{6,}\n(?P<context>.*?)\n-{6,}",
    re.S,
)
_CHAT_REFINE = re.compile(
    r"New Context: (?P<context>.*)\nQuery: (?P<query>.*?)\nOriginal Answer: (?P<old>.*?)\nNew Answer:", re.S
)
_CONTEXT_REFINE = re.compile(
    r"documents for the context:(?P<context>.*?)Existing Answer:(?P<old>.*?)Instruction: Refine", re.S
)
_CONDENSE = re.compile(
    r"(?:standalone question).*?(?:Chat History:|<Chat History>)(?P<history>.*?)"
    r"(?:Follow Up Input:|<Follow Up Message>)"
    r"(?P<question>.*?)(?:Standalone question:|<Standalone question>)",
    re.S | re.I,
)
_CHOICES = re.compile(r"A list of documents is shown below.*?Question: (?P<query>(?!<).*?)\nAnswer:", re.S)
_NUMBERED = re.compile(r"(?:numbered list|choices).*?'?ANSWER: <numbers?>", re.S)
_TITLE = re.compile(
    r"\AContext: (?P<context>.*)\. Give a title|\A(?P<titles>.*)\. Based on the above candidate titles", re.S
)
_KEYWORDS = re.compile(r"\A(?P<context>.*)\. Give (?P<count>\d+) unique keywords", re.S)
_EXTRACT_KEYWORDS = re.compile(r"up to (?P<count>\d+) keywords.*?-{5,}\n(?P<context>.*?)\n-{5,}", re.S)
_QUESTIONS = re.compile(r"generate (?P<count>\d+) (?:questions|search queries)(?P<rest>.*)", re.S | re.I)
_SUMMARY = re.compile(
    r"^\s*(?:Write a (?:concise )?summary of the following|Summarize the following)[^\n]*\n(?P<context>.*)", re.S | re.I
)


def _refine(match: re.Match[str]) -> str:
    return best_sentences(match["query"], f"{match['old']}\n{match['context']}") or match["old"].strip()


def _context_refine(match: re.Match[str]) -> str:
    return match["old"].strip()


def _condense(match: re.Match[str]) -> str:
    """A short follow-up is joined with the subject of what was said; one that names its own subject stays as it is."""
    question = match["question"].strip()
    asked = [
        line.partition(":")[2].strip()
        for line in match["history"].splitlines()
        if line.strip().lower().startswith(("user:", "human:"))
    ]
    if read(question).subjects or not asked:
        return question
    subjects = [literal.value for literal in read(asked[-1]).subjects] or [topic(asked[-1])]
    return f"{question.rstrip('?')} ({', '.join(subjects)})?"


def _choose(match: re.Match[str]) -> str:
    given = re.findall(r"Document (\d+):\n(.*?)(?=\nDocument \d+:|\nQuestion:)", match.group(0), re.S)
    given = given[-max(1, len(given)) :]
    scored = ranked(match["query"], [text for _, text in given]) or [(1.0, index) for index in range(len(given))]
    best = scored[0][0]
    return "\n".join(
        f"Doc: {given[index][0]}, Relevance: {max(1, round(10 * value / best))}" for value, index in scored
    )


def _number(match: re.Match[str]) -> str:
    text = match.string
    given = re.findall(r"\((\d+)\)\s*(.*?)(?=\n\s*\n|\n\(\d+\)|\n-{5,})", text, re.S)
    query = re.search(r"question: '(.*?)'", text, re.S)
    scored = ranked(query.group(1) if query else text, [part for _, part in given])
    chosen = given[scored[0][1]][0] if scored else "1"
    return f"ANSWER: {chosen}\nIt shares most words with the question."


def _title(match: re.Match[str]) -> str:
    first = (sentences(match["context"] or match["titles"] or "") or ["Untitled"])[0]
    return shorten(first.lstrip("# ").split(", ")[0], 80).rstrip(".")


def _key_terms(match: re.Match[str]) -> str:
    carrying = [word for word in words(match["context"]) if word not in STOPWORDS and len(word) > 3]
    return ", ".join(sorted(unique(carrying), key=lambda word: -carrying.count(word))[: int(match["count"])])


def _labelled_key_terms(match: re.Match[str]) -> str:
    return f"KEYWORDS: {_key_terms(match)}"


def _questions(match: re.Match[str]) -> str:
    given = context_in(match.string) or match.string[: match.start()] or match["rest"]
    said = [sentence for sentence in sentences(given) if not is_question(sentence) and len(words(sentence)) > 3]
    count = int(match["count"])
    asked = re.search(r"(?:query|question|input)(?: query)?: ([^\n]+)", match["rest"], re.I)
    if asked:
        return "\n".join(unique([asked.group(1).strip(), f"What is known of {topic(asked.group(1))}?"])[:count])
    return "\n".join(f"{index}. What is said of {topic(sentence)}?" for index, sentence in enumerate(said[:count], 1))


def _summary(match: re.Match[str]) -> str:
    return " ".join(sentences(match["context"].replace('SUMMARY:"""', "").replace("CONCISE SUMMARY:", ""))[:2])


_TABLE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_REFINE, _refine),
    (_CHAT_REFINE, _refine),
    (_CONTEXT_REFINE, _context_refine),
    (_CONDENSE, _condense),
    (_CHOICES, _choose),
    (_NUMBERED, _number),
    (_EXTRACT_KEYWORDS, _labelled_key_terms),
    (_KEYWORDS, _key_terms),
    (_TITLE, _title),
    (_QUESTIONS, _questions),
    (_SUMMARY, _summary),
)


def answer(text: str) -> str | None:
    """The answer to a prompt of the table; None for any other text."""
    for pattern, rule in _TABLE:
        match = pattern.search(text)
        if match:
            return rule(match)
    return None


__all__ = ["answer", "question_in"]
