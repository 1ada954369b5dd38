"""``python -m hubmix.demo``."""

from __future__ import annotations

import sys

from hubmix.demo.run import main

if __name__ == "__main__":
    sys.exit(main())
