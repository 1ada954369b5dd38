"""Locate the recorded traffic, which is read in place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(os.environ.get("HUBMIX_TRAFFIC", Path(__file__).resolve().parents[3] / "shared"))
NAMES = ("dev", "hubs", "gateway", "responses", "gateway_responses", "messages")
FILES = {name: ROOT / "traffic" / f"{name}.jsonl.gz" for name in NAMES}
TOOL = ROOT / "tools" / "replay.py"
PRESENT = TOOL.exists() and all(path.exists() for path in FILES.values())
REASON = f"the recorded traffic is not here: put it at {ROOT.name}/ next to the checkout, or set HUBMIX_TRAFFIC"

if PRESENT:
    sys.path.insert(0, str(TOOL.parent))
