"""Which APIs a model may be asked over, in which order. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from hubmix.errors import ConfigurationError
from hubmix.wire.api import Payload
from hubmix.wire.expressible import Wish, lacking, server_state, wishes_of

ApiName = Literal["auto", "chat", "responses", "messages"]

_NAMES: tuple[str, ...] = get_args(ApiName)
_TITLES = {"chat": "chat completions", "responses": "the Responses API", "messages": "the Messages API"}
_CHOSEN_BY_ITSELF = ("chat", "responses", "messages")


def check_api_name(name: object) -> None:
    """Refuse a word that names no API."""
    if name not in _NAMES:
        raise ConfigurationError(f"api must be one of {', '.join(map(repr, _NAMES))}, not {name!r}.")


@dataclass(frozen=True, slots=True)
class ApiChoice:
    """How a call can be said.

    Attributes:
        able: the APIs that can say it, in the order of preference.
        tied: it goes on from what one account keeps, so it cannot go anywhere else.
    """

    able: tuple[str, ...]
    tied: bool


def choose_apis(wanted: str, payload: Payload, *, alone: bool) -> ApiChoice:
    """Return the APIs that can carry a call.

    Raises:
        ConfigurationError: as `able_apis` and `check_server_state` raise it.
    """
    check_server_state(payload, alone=alone)
    return ApiChoice(able_apis(wanted, payload), bool(server_state(payload)))


def able_apis(wanted: str, payload: Payload) -> tuple[str, ...]:
    """Return the APIs that can say a call, in the order of preference.

    Args:
        wanted: the API that the caller named, or "auto".
        payload: the call's payload.

    Raises:
        ConfigurationError: the API that was named, or each of them, cannot say what the payload asks for.
    """
    wishes = wishes_of(payload)
    if wanted != "auto":
        if names := lacking(wanted, wishes):
            raise _cannot_say(wanted, names, wishes)
        return (wanted,)
    able = tuple(api for api in _CHOSEN_BY_ITSELF if not lacking(api, wishes)) if wishes else _CHOSEN_BY_ITSELF
    if not able:
        raise _nobody_can_say(wishes)
    return able


def ordered_apis(
    able: tuple[str, ...], *, listed: Iterable[str] = (), refused: Iterable[str] = (), messages_first: bool = False
) -> tuple[str, ...]:
    """Return the APIs for one model: the first, then what follows a wrong API.

    Args:
        able: the APIs that can say the call.
        listed: the APIs over which the catalog says that the model is served; empty if unknown.
        refused: the APIs that this hub has refused for this model before. They go to the back.
        messages_first: whether the hub lists the Messages API for the model before any other. Only then it is asked
            over it unasked: a model that is resold under Anthropic's API loses what makes that API worth while.

    Example:
        >>> ordered_apis(("chat", "responses", "messages"))
        ('chat', 'responses')
        >>> ordered_apis(("chat", "responses"), listed={"responses"})
        ('responses', 'chat')
    """
    if len(able) == 1:
        return able
    if not messages_first:
        able = tuple(api for api in able if api != "messages") or able
    known, gone = frozenset(listed), frozenset(refused)
    if not (known or gone):
        return able
    return tuple(
        sorted(able, key=lambda api: (api in gone, messages_first and api != "messages", _only_elsewhere(api, known)))
    )


def check_server_state(payload: Payload, *, alone: bool) -> None:
    """Refuse fallbacks for a call that goes on from what one account keeps.

    Args:
        payload: the call's payload.
        alone: whether the call has one route only.
    """
    if not alone and (kept := server_state(payload)):
        raise ConfigurationError(
            f"{_listed(kept)} cannot be used with fallbacks: the server keeps that state for one account and model, so "
            "no other route can go on from it. Leave the fallbacks out, or send the history as messages."
        )


def _only_elsewhere(api: str, listed: frozenset[str]) -> bool:
    """Whether the list says that the model is served over another API only.

    New API lists `openai` alone for models that it serves over Responses only, so a list without "responses" proves
    nothing; one without "chat" does.
    """
    return api == "chat" and "chat" not in listed and "responses" in listed


def _cannot_say(api: str, names: tuple[str, ...], wishes: list[Wish]) -> ConfigurationError:
    others = [other for other in _CHOSEN_BY_ITSELF if other != api and not lacking(other, wishes)]
    advice = f'use api="{others[0]}" or api="auto" for that' if others else "no API can say all of it"
    title = _TITLES[api][0].upper() + _TITLES[api][1:]
    return ConfigurationError(f"{title} cannot say {_listed(names)}: leave it out, or {advice}. Nothing was sent.")


def _nobody_can_say(wishes: list[Wish]) -> ConfigurationError:
    needs = [f"{_TITLES[api]} cannot say {_listed(lacking(api, wishes))}" for api in _CHOSEN_BY_ITSELF]
    return ConfigurationError(f"No API can say all of this call: {', and '.join(needs)}. Nothing was sent.")


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
