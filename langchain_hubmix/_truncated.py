"""Tool calls whose arguments broke off: how they are kept from being executed.

LangChain repairs JSON that breaks off, which turns a call cut at `max_tokens` into a valid call with wrong arguments.
No other field of a chunk survives merging, so the arguments themselves have to say that they end here: a closing
bracket that matches nothing is the one thing at which its parser gives up.
"""

from __future__ import annotations

from langchain_core.utils.json import parse_partial_json

# What stands before the bracket, to leave a string first; behind a lone backslash it takes a second quote.
_NOTES = {"": " (cut short)", '"': " (cut short inside a string)", '""': " (cut short inside a string, escaped)"}


def cut_marker(arguments: str) -> str:
    """What to append to broken arguments so that LangChain does not repair them into a call; "" where it would not.

    Args:
        arguments: The JSON text as far as it came.
    """
    if not arguments.strip():  # LangChain takes "" for an empty object, and a space for a mistake
        return " "
    try:
        repaired = parse_partial_json(arguments)
    except ValueError:  # beyond repair: LangChain calls it invalid by itself
        return ""
    if not isinstance(repaired, dict):
        return ""
    closers: list[str] = []
    in_string = escaped = False
    for char in arguments:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string, escaped = True, False
        elif char in "{[":
            closers.append("}" if char == "{" else "]")
        elif char in "}]":
            closers.pop()
    quote = ('""' if escaped else '"') if in_string else ""
    return quote + ("}" if closers and closers[-1] == "]" else "]") + _NOTES[quote]


def uncut(arguments: str) -> str:
    """Broken arguments as they came, without :func:`cut_marker`."""
    for quote, note in _NOTES.items():
        if arguments.endswith(note):
            return arguments[: -len(note) - 1 - len(quote)]
    return arguments if arguments.strip() else ""
