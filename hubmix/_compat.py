"""What depends on the packages that are installed.

The installed OpenAI SDK speaks httpx up to 2.x, httpx2 from 3.x on.

The SDK is asked only when a request is about to be made: importing it takes half a second.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from types import ModuleType


@lru_cache(maxsize=1)
def http() -> ModuleType:
    """Return `httpx` or `httpx2`; clients and exceptions of the two must not be mixed."""
    return import_module("httpx2" if int(version("openai").split(".")[0]) >= 3 else "httpx")


def extra(module: str, what: str, name: str) -> ModuleType:
    """Import a module that an extra of hubmix installs.

    Args:
        module: the module's name.
        what: what needs it, for the error.
        name: the extra.

    Raises:
        ImportError: it is not installed; the message has the line for pip.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'{what} needs {module.partition(".")[0]}: pip install "hubmix[{name}]"') from error
