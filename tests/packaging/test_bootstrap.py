"""The first minute of a newcomer: the tools behind `make demo` and `make test` on machines that lack something."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
WHEEL = b"a wheel"
SHA256 = hashlib.sha256(WHEEL).hexdigest()


@pytest.fixture
def pip_wheel(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("pip_wheel")


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    module = importlib.import_module("bootstrap")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


# ---- a wheel of pip from a package index


@dataclass
class Index:
    """A package index on loopback; `pages` maps a path to content type and body."""

    url: str
    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    logins: list[str | None] = field(default_factory=list)


@pytest.fixture
def index() -> Iterator[Index]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.logins.append(self.headers.get("Authorization"))
            kind, body = served.pages.get(self.path, ("text/plain", b""))
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Index(f"http://127.0.0.1:{server.server_address[1]}/simple")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def as_json(sha256: str = SHA256) -> tuple[str, bytes]:
    def file(name: str, **more: object) -> dict[str, object]:
        return {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": sha256}, **more}

    files = [
        file("pip-9.0.3-py2.py3-none-any.whl"),
        file("pip-26.1-py3-none-any.whl", **{"requires-python": ">=3.9"}),
        file("pip-30.0-py3-none-any.whl", **{"requires-python": ">=3.99"}),
        file("pip-31.0-py3-none-any.whl", yanked="broken"),
        file("pip-32.0b1-py3-none-any.whl"),
        file("pip-33.0.tar.gz"),
    ]
    return "application/vnd.pypi.simple.v1+json", json.dumps({"files": files}).encode()


def as_html(sha256: str = SHA256) -> tuple[str, bytes]:
    links = (
        f'<a href="../../files/pip-26.1-py3-none-any.whl#sha256={sha256}" data-requires-python="&gt;=3.9">pip</a>'
        f'<a href="../../files/pip-30.0-py3-none-any.whl#sha256={sha256}" data-requires-python="&gt;=3.99">pip</a>'
        f'<a href="../../files/pip-31.0-py3-none-any.whl#sha256={sha256}" data-yanked="broken">pip</a>'
        '<a href="../../files/pip-34.0-py3-none-any.whl">without a hash</a>'
    )
    return "text/html", f"<!DOCTYPE html><body>{links}</body>".encode()


@pytest.mark.parametrize("page", [as_json, as_html])
def test_the_newest_fitting_wheel_of_an_index_is_taken(
    pip_wheel: ModuleType, index: Index, tmp_path: Path, page: object
) -> None:
    index.pages = {"/simple/pip/": page(), "/files/pip-26.1-py3-none-any.whl": ("", WHEEL)}
    wheel = pip_wheel.from_index(tmp_path, {"PIP_INDEX_URL": index.url})
    assert wheel.name == "pip-26.1-py3-none-any.whl"
    assert wheel.read_bytes() == WHEEL


def test_a_wheel_with_another_hash_is_refused(pip_wheel: ModuleType, index: Index, tmp_path: Path) -> None:
    index.pages = {"/simple/pip/": as_json("0" * 64), "/files/pip-26.1-py3-none-any.whl": ("", WHEEL)}
    with pytest.raises(ValueError, match="does not have the sha256"):
        pip_wheel.from_index(tmp_path, {"PIP_INDEX_URL": index.url})
    assert list(tmp_path.iterdir()) == []


def test_the_login_of_an_index_is_sent_and_never_shown(pip_wheel: ModuleType, index: Index, tmp_path: Path) -> None:
    index.pages = {"/simple/pip/": as_json(), "/files/pip-26.1-py3-none-any.whl": ("", WHEEL)}
    private = index.url.replace("://", "://jane:s%40cret@")
    pip_wheel.from_index(tmp_path, {"PIP_INDEX_URL": private})
    assert index.logins == ["Basic " + base64.b64encode(b"jane:s@cret").decode()] * 2
    index.pages = {"/simple/pip/": ("text/html", b"<html></html>")}
    with pytest.raises(LookupError, match="no suitable wheel of pip") as caught:
        pip_wheel.from_index(tmp_path, {"PIP_INDEX_URL": private})
    assert "cret" not in str(caught.value)


def test_an_index_may_stand_in_the_configuration_of_pip(pip_wheel: ModuleType, tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://packages.example/simple\ncert = /etc/ssl/own.pem\n")
    known = pip_wheel.configured({"PIP_CONFIG_FILE": str(config)})
    assert known == ("https://packages.example/simple", "/etc/ssl/own.pem")
    assert pip_wheel.configured({"PIP_CONFIG_FILE": str(config), "PIP_INDEX_URL": "https://b.example/"})[0] == (
        "https://b.example/"
    )


def test_a_machine_without_any_way_to_pip_is_told_what_to_do(
    pip_wheel: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Path:
        raise LookupError("not here")

    for name in ("from_disk", "from_system_pip", "from_index", "from_apt"):
        fail.__name__ = name
        monkeypatch.setattr(pip_wheel, name, fail)
    with pytest.raises(pip_wheel.NoPipError, match=r"(?s)not here.*apt install python3-venv.*PIP_INDEX_URL"):
        pip_wheel.find(tmp_path, {})


# ---- the environment


@pytest.fixture
def installed(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Which extras were installed, call by call; nothing really is."""
    calls: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "install", lambda target, extras: calls.append(extras))
    return calls


def test_a_second_run_does_nothing(bootstrap: ModuleType, installed: list[list[str]], tmp_path: Path) -> None:
    target = tmp_path / ".venv"
    bootstrap.build(target, ["demo"])
    bootstrap.build(target, ["demo"])
    bootstrap.build(target, ["demo", "test"])
    assert installed == [["demo"], ["test"]]


def test_it_is_installed_again_when_the_requirements_change(
    bootstrap: ModuleType, installed: list[list[str]], tmp_path: Path
) -> None:
    bootstrap.build(tmp_path / ".venv", ["demo"])
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    bootstrap.build(tmp_path / ".venv", ["demo"])
    assert installed == [["demo"], ["demo"]]


@pytest.mark.parametrize("broken", ["a moved checkout", "another Python", "a removed Python"])
def test_a_broken_environment_is_built_anew(
    bootstrap: ModuleType, installed: list[list[str]], tmp_path: Path, broken: str
) -> None:
    target = tmp_path / ".venv"
    bootstrap.build(target, ["demo"])
    if broken == "a moved checkout":
        (target / "built-for").write_text("elsewhere 3.11")
    elif broken == "another Python":
        (target / "built-for").write_text(f"{tmp_path} 3.9")
    else:
        (target / "bin" / "python").unlink()
        (target / "bin" / "python").symlink_to(tmp_path / "gone")
    bootstrap.build(target, ["demo"])
    assert installed == [["demo"], ["demo"]]
    assert bootstrap.is_ours(target)


def test_a_failed_installation_says_what_to_do_and_is_tried_again(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_UV", "1")
    monkeypatch.setattr(bootstrap, "ensure_pip", lambda target: None)
    for _ in range(2):
        assert bootstrap.main(["demo"]) == 1
        assert "PIP_INDEX_URL" in capsys.readouterr().err
    assert list((tmp_path / ".venv").glob("installed-*")) == []


def test_installers_write_nothing_outside_the_checkout(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TARGET", "elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
    monkeypatch.delenv("UV_INDEX_URL", raising=False)
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    env = bootstrap.environment()
    assert "PIP_TARGET" not in env
    assert {env["PIP_CACHE_DIR"], env["UV_CACHE_DIR"]} == {str(bootstrap.CACHE / "pip"), str(bootstrap.CACHE / "uv")}
    assert env["UV_DEFAULT_INDEX"] == "https://packages.example/simple"


def test_an_old_python_is_refused(bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(bootstrap.BootstrapError, match=r"3\.10 or newer"):
        bootstrap.build(tmp_path / ".venv", ["demo"])
