"""Run the embedded hub: `python -m hubmix.embedded --port 8000`."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence

from hubmix.embedded import EmbeddedHub
from hubmix.embedded.dialects import DIALECTS


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, after printing a line with base URL and key."""
    parser = argparse.ArgumentParser(
        prog="python -m hubmix.embedded", description="A hub on loopback, without intelligence."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free port (default: 8000)")
    parser.add_argument("--dialect", choices=sorted(DIALECTS), default="new-api")
    parser.add_argument("--api-key", default="sk-embedded", help="a key to accept (default: sk-embedded)")
    parser.add_argument(
        "--model", action="append", default=[], metavar="ID", help="serve this id too, as embedded/extract"
    )
    parser.add_argument(
        "--pace", type=float, default=0.0, metavar="SECONDS", help="seconds between the events of a stream"
    )
    options = parser.parse_args(arguments)
    hub = EmbeddedHub(
        options.dialect,
        models=options.model,
        keys=[options.api_key],
        pace=options.pace,
        host=options.host,
        port=options.port,
    )
    with hub:
        sys.stdout.write(f"{hub.base_url} {options.api_key}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
