"""How commands fail: a message on stderr and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from hubmix.cli import screen
from hubmix.cli.words import spoken
from hubmix.errors import AllModelsFailedError, ConfigurationError, HubmixError

FAILED, USAGE, STOPPED, PIPE_CLOSED = 1, 2, 130, 141

Parameters = ParamSpec("Parameters")


def guarded(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Wrap a command: expected failures become exit codes, defects a traceback."""

    @wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except screen.PipeClosedError:
            screen.forget_stdout()
            raise typer.Exit(PIPE_CLOSED) from None
        except KeyboardInterrupt:
            screen.note("\nstopped")
            raise typer.Exit(STOPPED) from None
        except ConfigurationError as error:
            screen.failure(message_of(error))
            raise typer.Exit(USAGE) from None
        except HubmixError as error:
            screen.failure(message_of(error))
            raise typer.Exit(FAILED) from None
        except ImportError as error:
            if "pip install" not in str(error):
                raise
            screen.failure(str(error))
            raise typer.Exit(FAILED) from None

    return run


def message_of(error: HubmixError) -> str:
    """Return the message of an error in the words of the command line."""
    if error.kind == "no_key":  # no option takes a key, and somebody without one has just met this project
        return spoken(str(error)) + " To look around without a key: hubmix demo"
    return spoken(error.message if isinstance(error, AllModelsFailedError) else str(error))
