"""Find a wheel of pip for a Python that comes without one. Standard library only.

Debian and Ubuntu split `ensurepip` off their Python. Tried in this order, first success wins: the wheel that Debian's
own packages put on the disk, the system's pip (it can download another), the package index this machine is set up for
(PIP_INDEX_URL or pip's configuration file), and Debian's archive through apt, with apt's own signature checks and
without root.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import html.parser
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEBIAN_WHEELS = Path("/usr/share/python-wheels")
DEBIAN_PACKAGE = "python3-pip-whl"
# pip's configuration files, the weakest first.
PIP_FILES = (
    "/etc/pip.conf",
    "~/.pip/pip.conf",
    "~/Library/Application Support/pip/pip.conf",
    "~/.config/pip/pip.conf",
)
SECONDS = 60.0


class NoPipError(Exception):
    """No way to a pip worked; the message says what to do next."""


def find(into: Path, env: dict[str, str]) -> Path:
    """The path of a wheel of pip, downloaded into `into` where need be; `env` is for the tools that are run."""
    into.mkdir(parents=True, exist_ok=True)
    tried: list[str] = []
    for source in (from_disk, from_system_pip, from_index, from_apt):
        try:
            return source(into, env)
        except (OSError, ValueError, LookupError, subprocess.SubprocessError) as error:
            tried.append(f"  {source.__name__.replace('_', ' ')}: {error}")
    lines = [
        "This Python has no pip, and none could be found:",
        *tried,
        "Next, one of: install uv; `sudo apt install python3-venv`; or set PIP_INDEX_URL to your package index",
        "(and PIP_CERT to its certificate file). Then run the same command again.",
    ]
    raise NoPipError("\n".join(lines))


def from_disk(into: Path, env: dict[str, str]) -> Path:
    return only_wheel(DEBIAN_WHEELS)


def from_system_pip(into: Path, env: dict[str, str]) -> Path:
    options = ["--quiet", "--no-input", "--no-deps", "--only-binary", ":all:", "--dest"]
    run([sys.executable, "-m", "pip", "download", *options, str(into), "pip"], env)
    return only_wheel(into)


def from_apt(into: Path, env: dict[str, str]) -> Path:
    """Debian's package of the wheel, unpacked and not installed; with lists of our own if the system has none."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise LookupError("no apt here")
    apt = ["apt-get", "--quiet=2", "-o", "APT::Sandbox::User=root"]
    try:
        run([*apt, "download", DEBIAN_PACKAGE], env, into)
    except subprocess.SubprocessError:
        with tempfile.TemporaryDirectory(dir=into) as lists:
            state, cache = Path(lists, "state"), Path(lists, "cache")
            for folder in (state / "lists" / "partial", cache / "archives" / "partial"):
                folder.mkdir(parents=True)
            apt += ["-o", f"Dir::State={state}", "-o", f"Dir::Cache={cache}"]
            apt += ["-o", "Dir::State::status=/var/lib/dpkg/status"]
            run([*apt, "update"], env, into)
            run([*apt, "download", DEBIAN_PACKAGE], env, into)
    for package in into.glob(f"{DEBIAN_PACKAGE}_*.deb"):
        run(["dpkg-deb", "--extract", str(package), str(into / "unpacked")], env)
    return only_wheel(into / "unpacked" / DEBIAN_WHEELS.relative_to("/"))


def from_index(into: Path, env: dict[str, str]) -> Path:
    """The newest pip of the configured index, its sha256 checked against what the index says."""
    index, certificate = configured(env)
    context = ssl.create_default_context(cafile=certificate)
    page = urllib.parse.urljoin(index.rstrip("/") + "/", "pip/")
    kind, body = fetch(page, context, accept="application/vnd.pypi.simple.v1+json, text/html;q=0.5")
    entries = entries_of_json(body) if "json" in kind else entries_of_html(body)
    candidates = sorted((version_of(entry.name), entry) for entry in entries if entry.fits())
    if not candidates:
        raise LookupError(f"no suitable wheel of pip at {without_login(page)}")
    entry = candidates[-1][1]
    _, content = fetch(with_login_of(index, urllib.parse.urljoin(page, entry.url)), context, accept="*/*")
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise ValueError(f"{entry.name} does not have the sha256 that the index gives: not used")
    wheel = into / entry.name
    wheel.write_bytes(content)
    return wheel


@dataclass(frozen=True, order=True)
class Entry:
    """One file of an index page (the simple repository API of PEP 503 and PEP 691)."""

    name: str
    url: str
    sha256: str
    requires_python: str = ""
    yanked: bool = False

    def fits(self) -> bool:
        """A final release for any platform whose hash is known, and not for a newer Python than this one."""
        newest = re.search(r">=\s*3\.(\d+)", self.requires_python)
        return (
            re.fullmatch(r"pip-\d+(\.\d+)*-py(2\.py)?3-none-any\.whl", self.name) is not None
            and len(self.sha256) == 64
            and not self.yanked
            and (newest is None or sys.version_info >= (3, int(newest[1])))
        )


def entries_of_json(body: bytes) -> Iterator[Entry]:
    for file in json.loads(body)["files"]:
        sha256 = file.get("hashes", {}).get("sha256", "")
        yield Entry(file["filename"], file["url"], sha256, file.get("requires-python") or "", bool(file.get("yanked")))


def entries_of_html(body: bytes) -> list[Entry]:
    reader = _Links()
    reader.feed(body.decode("utf-8", "replace"))
    return reader.entries


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        url, _, fragment = (known.get("href") or "").partition("#")
        if tag == "a" and url:
            sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
            name = urllib.parse.unquote(url.rsplit("/", 1)[-1])
            requires_python = known.get("data-requires-python") or ""
            self.entries.append(Entry(name, url, sha256, requires_python, "data-yanked" in known))


def configured(env: dict[str, str]) -> tuple[str, str | None]:
    """The index and the certificate file this machine is set up for: the environment before pip's files, as in pip."""
    settings = configparser.RawConfigParser(strict=False)
    files = [*PIP_FILES, env.get("PIP_CONFIG_FILE", "")]
    settings.read([os.path.expanduser(name) for name in files if name], encoding="utf-8")
    named = [env.get(name) for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")]
    index = next(filter(None, named), None) or settings.get("global", "index-url", fallback="")
    if not index:
        raise LookupError("PIP_INDEX_URL is not set")
    return index, env.get("PIP_CERT") or env.get("SSL_CERT_FILE") or settings.get("global", "cert", fallback=None)


def fetch(url: str, context: ssl.SSLContext, accept: str) -> tuple[str, bytes]:
    """The content type and the body of a page; proxies are taken from the environment, a login from the URL."""
    request = urllib.request.Request(without_login(url), headers={"Accept": accept, "User-Agent": "hubmix-bootstrap"})
    parts = urllib.parse.urlsplit(url)
    if parts.username:
        login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        # Unredirected: a redirect to another host must not carry the login along.
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    with urllib.request.urlopen(request, timeout=SECONDS, context=context) as response:
        return response.headers.get("Content-Type", ""), response.read()


def without_login(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def with_login_of(index: str, url: str) -> str:
    """`url` with the login of `index` if both are on one host: private indexes guard their files too."""
    known, parts = urllib.parse.urlsplit(index), urllib.parse.urlsplit(url)
    if known.username and not parts.username and (known.scheme, known.hostname) == (parts.scheme, parts.hostname):
        return urllib.parse.urlunsplit(parts._replace(netloc=known.netloc.rpartition("@")[0] + "@" + parts.netloc))
    return url


def only_wheel(folder: Path) -> Path:
    wheels = sorted((version_of(wheel.name), wheel) for wheel in folder.glob("pip-*.whl"))
    if not wheels:
        raise LookupError(f"no wheel of pip in {folder}")
    return wheels[-1][1]


def version_of(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", name.split("-")[1]))


def run(command: list[str], env: dict[str, str], folder: Path | None = None) -> None:
    done = subprocess.run(command, env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise subprocess.SubprocessError(f"{Path(command[0]).name} failed: {said[-1]}")
