"""``python -m hubmix``: the same as the ``hubmix`` command."""

from __future__ import annotations

import sys

from hubmix.cli import main

if __name__ == "__main__":
    sys.exit(main())
