"""The `hubmix` command; it needs the extra `cli` (typer and rich)."""

from __future__ import annotations

import sys

_MISSING = (
    'The hubmix command needs {missing}, which is not installed. Install it with: pip install "hubmix[cli]"\n'
    "Everything else of hubmix works without it."
)


def main() -> int:
    """Run the command with the arguments of the process and return its exit code.

    0: done. 1: a call failed, or something on the way to it. 2: the command line or a setting is wrong, and nothing was
    sent. 130: stopped with Ctrl-C. 141: the reader of the output closed it.
    """
    try:
        from hubmix.cli.app import run
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in {"typer", "rich", "click"}:
            raise
        sys.stderr.write(_MISSING.format(missing=missing) + "\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return run(sys.argv[1:])
