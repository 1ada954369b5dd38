"""Import time, memory and construction, each in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from statistics import median
from typing import Any

from benchmarks.contenders import KEY, MODEL
from benchmarks.measure import Effort, Work, in_turns
from benchmarks.results import Figure, Section
from benchmarks.server import Loopback

_LANGCHAIN = "from langchain_core.language_models import BaseChatModel"
_LLAMAINDEX = "from llama_index.core.llms.function_calling import FunctionCallingLLM"
_SETTINGS = f"model={MODEL!r}, api_key={KEY!r}"

# Name to (import, an object of it that is ready to be called, one call).
_IMPORTS: dict[str, tuple[str, str, str]] = {
    "openai": ("import openai", "", ""),
    "langchain-core": (_LANGCHAIN, "", ""),
    "langchain-core + openai": (f"{_LANGCHAIN}\nimport openai", "", ""),
    "langchain_openai": (
        "from langchain_openai import ChatOpenAI",
        f"ChatOpenAI({_SETTINGS}, base_url=URL)",
        "llm.invoke('hi')",
    ),
    "langchain_hubmix": (
        "from langchain_hubmix import ChatHubmix",
        f"ChatHubmix({_SETTINGS}, base_url=URL)",
        "llm.invoke('hi')",
    ),
    "llama-index-core": (_LLAMAINDEX, "", ""),
    "llama-index-core + openai": (f"{_LLAMAINDEX}\nimport openai", "", ""),
    "llama_index.llms.openai_like": (
        "from llama_index.llms.openai_like import OpenAILike",
        f"OpenAILike({_SETTINGS}, api_base=URL, is_chat_model=True)",
        "llm.complete('hi')",
    ),
    "llamaindex_hubmix": (
        "from llamaindex_hubmix import Hubmix",
        f"Hubmix({_SETTINGS}, base_url=URL)",
        "llm.complete('hi')",
    ),
    "hubmix": ("from hubmix import Hub", "", ""),
}

# What is run in the fresh interpreter. A connection made before the call is a defect, and so is a tokenizer.
_PROGRAM = """
import json, socket, sys, time
URL = {url!r}
connected = []
connect = socket.socket.connect
socket.socket.connect = lambda self, address: (connected.append(str(address)), connect(self, address))[1]
started = time.process_time()
{load}
imported = time.process_time()
{make}
early = list(connected)
{call}
called = time.process_time()
found = {{"import": (imported - started) * 1000, "first answer": (called - started) * 1000, "early": early,
         "tiktoken": "tiktoken" in sys.modules}}
try:
    import psutil
    found["MB"] = psutil.Process().memory_info().rss / 1e6
except ImportError:
    pass
print(json.dumps(found))
"""


def measure(server: Loopback, effort: Effort) -> Section:
    """Imports, memory and construction."""
    found = _imports(server, effort)
    found.add(_construction(effort))
    return found


def fresh(name: str, url: str) -> dict[str, Any] | None:
    """Measure one import in a new interpreter; None if it is not installed."""
    load, make, call = _IMPORTS[name]
    program = _PROGRAM.format(url=url, load=load, make=f"llm = {make}" if make else "", call=call)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    if ran.returncode:
        if "ModuleNotFoundError" in ran.stderr:
            return None
        raise RuntimeError(f"{name} could not be imported:\n{ran.stderr}")
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def _imports(server: Loopback, effort: Effort) -> Section:
    runs: dict[str, list[dict[str, Any]]] = {}
    skipped = []
    for number in range(effort.fresh):
        for name in _IMPORTS:
            if number and name not in runs:
                continue
            ran = fresh(name, server.burst)
            if ran is None:
                skipped.append(f"import {name}: not measured, since it is not installed")
            else:
                runs.setdefault(name, []).append(ran)
    found = Section(skipped=skipped)
    for ours, floor, peer in (
        ("langchain_hubmix", "langchain-core + openai", "langchain_openai"),
        ("llamaindex_hubmix", "llama-index-core + openai", "llama_index.llms.openai_like"),
    ):
        found.figures += _import_figures(runs, ours, floor, peer)
    for title, key in (("import", "import"), ("import and first answer", "first answer")):
        found.tables[f"{title}, CPU ms"] = {
            name: median(one[key] for one in ran) for name, ran in runs.items() if key == "import" or _IMPORTS[name][2]
        }
    if all("MB" in one for ran in runs.values() for one in ran):
        found.tables["memory after it, MB"] = {name: median(one["MB"] for one in ran) for name, ran in runs.items()}
    else:
        found.skipped.append("memory: not measured, since psutil is not installed")
    return found


def _import_figures(runs: dict[str, list[dict[str, Any]]], ours: str, floor: str, peer: str) -> list[Figure]:
    def between(name: str, other: str, key: str) -> float:
        return median([float(one[key] / two[key]) for one, two in zip(runs[name], runs[other], strict=True)])

    early = sum(len(one["early"]) for one in runs[ours])
    tokenizers = sum(one["tiktoken"] for one in runs[ours])
    figures = [
        Figure(f"import {ours}", between(ours, floor, "import"), "×", floor, 1.1),
        Figure(f"connections made by importing and constructing {ours}", early, "", "", 0),
        Figure(f"tiktoken loaded by {ours}", tokenizers, "", "", 0),
    ]
    if peer in runs:
        figures.append(Figure(f"import and first answer, {ours}", between(ours, peer, "first answer"), "×", peer))
        if all("MB" in one for one in (*runs[ours], *runs[peer])):
            figures.append(Figure(f"memory after it, {ours}", between(ours, peer, "MB"), "×", peer))
    return figures


def _construction(effort: Effort) -> Section:
    from langchain_hubmix import ChatHubmix
    from llamaindex_hubmix import Hubmix

    url = "http://127.0.0.1:9/v1"
    work: dict[str, Work] = {
        "ChatHubmix": partial(ChatHubmix, model=MODEL, base_url=url, api_key=KEY),
        "Hubmix": partial(Hubmix, model=MODEL, base_url=url, api_key=KEY),
    }
    try:
        from langchain_openai import ChatOpenAI

        # A list of fallbacks is a list of such objects.
        work["ChatOpenAI"] = partial(ChatOpenAI, model=MODEL, base_url=url, api_key=KEY)
        from llama_index.llms.openai_like import OpenAILike

        work["OpenAILike"] = partial(OpenAILike, model=MODEL, api_base=url, api_key=KEY)
    except ImportError:
        pass
    timings = in_turns(work, effort)
    return Section(
        [Figure(f"construct {name}", timings.ms(name), "ms", "", 0.1) for name in ("ChatHubmix", "Hubmix")],
        {"construct, ms": timings.table},
    )
