"""Check how many files and folders are directly in `hubmix/`."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "hubmix"
MOST_FILES, MOST_FOLDERS = 11, 9


def main() -> int:
    files = sorted(path.name for path in PACKAGE.glob("*.py"))
    folders = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    too_many = False
    for kind, names, most in (("files", files, MOST_FILES), ("folders", folders, MOST_FOLDERS)):
        if len(names) > most:
            print(f"hubmix/ holds {len(names)} {kind}, at most {most}: {', '.join(names)}", file=sys.stderr)
            too_many = True
    return int(too_many)


if __name__ == "__main__":
    sys.exit(main())
