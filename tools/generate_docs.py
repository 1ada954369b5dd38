"""Write the pages of the documentation that are made from the code.

python tools/generate_docs.py            # write them
python tools/generate_docs.py --check    # exit code 1 if one of them is not what the code would make of it
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a file, Python looks for `hubmix` in the file's folder only
    sys.path.insert(0, str(ROOT))

from hubmix.errors import Scope  # noqa: E402 - after the path is set
from hubmix.failover.evidence import Failure, Recovery  # noqa: E402 - after the path is set
from hubmix.failover.table import TABLE  # noqa: E402
from hubmix.plugin.document import parameters_of  # noqa: E402

FAILOVER_TABLE = """\
---
hide:
  - toc
---

<!-- Made by tools/generate_docs.py from hubmix/failover/table.py: change it there. -->

# The failure table

What each failure is recognised by, whom it concerns and what is done. The rows are tried from top to bottom; the first
that matches decides. [Failover explained](failover.md) says how to read it, and the
[troubleshooting page](../troubleshooting.md) what to do about each kind.

**Scope** is whom the failure concerns: the REQUEST, the MODEL, the ACCOUNT (the key) or the ENDPOINT (the base URL).
**Action** is RETRY (the same model again), NEXT (the next of `fallbacks`) or FAIL (raise now). **Cooldown** is how long
the circuit breaker keeps others from the same failure; "counted" means that three in a row open it.

{table}
The words that are looked for were recorded on three running gateways (`cassettes/gateway`), or read in the source of
[QuantumNous/new-api](https://github.com/QuantumNous/new-api) and on [docs.aihubmix.com](https://docs.aihubmix.com).
"""


def render_table() -> str:
    """Return the failure table as Markdown."""
    lines = ["| signal | kind | scope | action | cooldown |", "|---|---|---|---|---|"]
    for row in TABLE:
        means = row.means
        cells = (
            row.signal,
            means.kind,
            means.scope.name if means.scope else "–",
            _action_in_words(means),
            means.cooldown.describe(),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _action_in_words(means: Failure) -> str:
    if means.action is Recovery.FAIL:
        return _fail_in_words(means)
    if means.amended:
        return "RETRY at once without it"
    if means.action is Recovery.NEXT:
        return _next_in_words(means)
    retry = "wait, RETRY the same model" if means.throttled else "RETRY once" if means.retries == 1 else "RETRY"
    if means.scope is not Scope.MODEL:
        return f"another {_PLACE[means.scope]}; else {retry}" if means.scope else retry
    return f"{retry}, then NEXT" + ("; with nowhere to go it is returned, with a warning" if means.keeps_answer else "")


_PLACE = {Scope.ACCOUNT: "account", Scope.ENDPOINT: "mirror or hub"}


def _fail_in_words(means: Failure) -> str:
    if means.scope in _PLACE:
        free = ", or a model the catalog prices at 0" if means.free_models_only else ""
        return f"another {_PLACE[means.scope]}{free}; else FAIL"
    if means.keeps_answer and not means.opt_in:
        return "return it, with a warning"
    return "FAIL; NEXT only if the user opted in" if means.opt_in else "FAIL"


def _next_in_words(means: Failure) -> str:
    if means.larger_window_only:
        return "NEXT, only to candidates whose window is larger or unknown; else FAIL"
    if means.ask_one_more:
        return "NEXT once; a second refusal: FAIL"
    if means.other_api:
        return "the same model over another API, then NEXT"
    return "NEXT at once while one is healthy; else wait and RETRY" if means.waits else "NEXT, no retry"


def failover_table() -> str:
    """The page of the failure table."""
    return FAILOVER_TABLE.format(table=render_table())


PARAMETERS = """\
<!-- Made by tools/generate_docs.py from the fields of the classes (hubmix/plugin/fields.py): change them there. -->

# Parameters

What the constructors take, beyond what the framework's own base class takes. **Goes to** says where a value ends up:
in the `body` of a request, in the `options` of a call (see `CallOptions`), at the `hub`, or only in the `object`.
What goes into the body or the options may also be given to a single call, and wins there.

Other libraries' names for the same things work too: `model_name`, `api_base`, `openai_api_base`, `openai_api_key`,
`request_timeout`, `stop_sequences`, `model_kwargs`, `additional_kwargs`, `extra_headers`, `async_http_client`.
"""


def parameters() -> str:
    """The page of the parameters of all classes."""
    import langchain_hubmix
    import llamaindex_hubmix

    text = PARAMETERS
    head = "| parameter | type | default | what it is | goes to |\n|---|---|---|---|---|\n"
    for package in (langchain_hubmix, llamaindex_hubmix):
        for name in package.__all__:
            cls = getattr(package, name)
            if not hasattr(cls, "hub"):
                continue
            text += f"\n## {package.__name__}.{name}\n\n{head}"
            for one in parameters_of(cls):
                default = _code(one.default) if one.default else "required"
                row = (
                    f"`{one.name}`",
                    _code(one.type),
                    default,
                    one.description.replace("|", "&#124;"),
                    one.destination,
                )
                text += f"| {' | '.join(row)} |\n"
    return text


def _code(text: str) -> str:
    """Return code for a cell of a table.

    A `|` is written in HTML: MkDocs shows the backslash that GitHub needs.
    """
    return f"<code>{escape(text, quote=False).replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


PAGES: dict[str, Callable[[], str]] = {
    "docs/explanation/failover-table.md": failover_table,
    "docs/reference/parameters.md": parameters,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the pages of the documentation that are made from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is not current")
    check = parser.parse_args().check
    old = 0
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        old += 1
        if check:
            print(f"{name} is not what the code makes of it: run python tools/generate_docs.py", file=sys.stderr)
        else:
            path.write_text(text, "utf-8")
            print(f"wrote {name}")
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main())
