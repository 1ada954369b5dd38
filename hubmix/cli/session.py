"""A conversation on a terminal: its history is sent with every question."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubmix._text import plain
from hubmix.cli import screen
from hubmix.cli.asking import Printer, footer
from hubmix.cli.attachments import content_of
from hubmix.cli.guard import message_of
from hubmix.errors import ConfigurationError, HubmixError

if TYPE_CHECKING:
    from hubmix.failover.options import CallOptions
    from hubmix.hub.hub import Hub

HELP = """\
/model [ID]      say which model answers, or change it; the history stays
/attach FILE     send a file with the next question
/system [TEXT]   set the system message, or take it away
/reset           forget the conversation
/undo            forget the last question and its answer
/exit            end the session (so does Ctrl-D)
A line that ends in \\ goes on in the next one. Ctrl-C stops an answer, or a line you are typing."""


class Session:
    """A session: reads questions, writes answers, keeps the messages.

    Args:
        hub: the hub.
        model: the model ID to begin with.
        body: parameters of every request.
        options: fallbacks and timeouts.
    """

    def __init__(
        self,
        hub: Hub,
        model: str,
        body: dict[str, Any],
        options: CallOptions,
        *,
        system: str | None = None,
        reasoning: bool = False,
        quiet: bool = False,
    ) -> None:
        self._hub = hub
        self._model = model
        self._body = body
        self._options = options
        self._system = system
        self._reasoning = reasoning
        self._quiet = quiet
        self._files: list[Path] = []
        self.messages: list[dict[str, Any]] = []

    def run(self) -> None:
        """Talk until the user ends it."""
        _enable_editing()
        screen.note(f"{self._model} at {self._hub.base_url}. /help for help, Ctrl-D to end.")
        with self._hub.spending() as spent:
            while self._turn():
                pass
        if spent.calls and not self._quiet:
            answers = "1 answer" if spent.calls == 1 else f"{spent.calls} answers"
            more = "" if spent.complete else " and calls of unknown price"
            screen.note(f"{answers}, {spent.tokens:,} tokens, USD {plain(spent.known)}{more}")

    def _turn(self) -> bool:
        """One line of the user's, and what follows from it; False at the end."""
        try:
            text = self._read()
            if text is None:
                return False
            if text.startswith("/"):
                return self._command(text)
            if text:
                self._ask(text)
        except KeyboardInterrupt:
            screen.note("\n(Ctrl-D ends the session)")
        return True

    def _read(self) -> str | None:
        """The next question, or None at the end."""
        lines: list[str] = []
        while True:
            try:
                typed = _input("> " if not lines else "... ")
            except EOFError:
                screen.note("")
                return None
            if not typed.endswith("\\"):
                return "\n".join([*lines, typed]).strip()
            lines.append(typed[:-1])

    def _ask(self, text: str) -> None:
        """Ask one question; keep it in the history only if it was answered."""
        try:
            content = content_of(text, self._files)
        except ConfigurationError as error:
            screen.failure(str(error))
            return
        question = {"role": "user", "content": content}
        first = [{"role": "system", "content": self._system}] if self._system else []
        payload = {"model": self._model, "messages": [*first, *self.messages, question], **self._body}
        try:
            timed = Printer(reasoning=self._reasoning).print(self._hub, payload, self._options)
        except KeyboardInterrupt:
            screen.note("(stopped; question and answer are not kept)")
            return
        except HubmixError as error:
            screen.failure(message_of(error))
            return
        self._files.clear()
        self.messages += [question, timed.reply.to_wire_message()]
        if not self._quiet:
            screen.note(footer(self._hub, timed))

    def _command(self, text: str) -> bool:
        """Obey a line that begins with a slash; False ends the session."""
        name, _, rest = text.partition(" ")
        rest = rest.strip()
        if name in ("/exit", "/quit", "/q"):
            return False
        if name == "/model":
            self._model = rest or self._model
            screen.note(self._model)
        elif name == "/system":
            self._system = rest or None
            screen.note("system message set" if rest else "no system message")
        elif name == "/attach":
            self._attach(rest)
        elif name == "/reset":
            self.messages.clear()
            self._files.clear()
            screen.note("forgotten")
        elif name == "/undo":
            del self.messages[-2:]
            screen.note(f"{len(self.messages) // 2} questions and answers left")
        else:
            screen.note(HELP if name == "/help" else f"{name}: not known; /help lists what is.")
        return True

    def _attach(self, name: str) -> None:
        path = Path(name)
        try:
            with suppress(RuntimeError):  # the home of a user whom nobody knows: no such file, then
                path = path.expanduser()
            content_of("", [path])
        except ConfigurationError as error:
            screen.failure(str(error))
            return
        self._files.append(path)
        screen.note(f"{path.name} goes with the next question")


def _input(prompt: str) -> str:
    if screen.on_terminal(sys.stdout):
        return input(prompt)
    # The answers are redirected: the prompt is for the person, not for the file.
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return input()


def _enable_editing() -> None:
    try:
        import_module("readline")  # its import gives input() line editing and a history
    except ImportError:
        return  # Windows: the console edits lines itself
