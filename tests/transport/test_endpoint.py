"""Where key and URL come from: every step of the order, and what is refused."""

from __future__ import annotations

import copy
import pickle

import pytest
from pydantic import SecretStr

from hubmix import ConfigurationError, Hub
from hubmix.presets import AIHUBAPI, AIHUBMIX, CUSTOM
from hubmix.transport.endpoint import fingerprint, normalise_base_url, resolve_endpoint, resolve_key


def key_for(endpoint_env: dict[str, str], *, base_url: str | None = None, name: str | None = None) -> str | None:
    credential = resolve_key(None, resolve_endpoint(name, base_url, endpoint_env), endpoint_env)
    return None if credential.value is None else credential.value.get_secret_value()


@pytest.mark.parametrize(
    ("name", "base_url", "environ", "expected"),
    [
        (None, None, {}, "https://aihubmix.com/v1"),
        ("aihubapi", None, {}, "https://aihubapi.ai/v1"),
        (None, None, {"AIHUBMIX_BASE_URL": "https://b.example/v1"}, "https://b.example/v1"),
        (
            None,
            None,
            {"HUBMIX_BASE_URL": "https://a.example", "AIHUBMIX_BASE_URL": "https://b.example"},
            "https://a.example/v1",
        ),
        ("aihubapi", None, {"HUBMIX_BASE_URL": "https://a.example"}, "https://aihubapi.ai/v1"),
        ("aihubapi", "https://c.example/v1", {"HUBMIX_BASE_URL": "https://a.example"}, "https://c.example/v1"),
        (None, None, {"OPENAI_BASE_URL": "https://api.openai.com/v1"}, "https://aihubmix.com/v1"),
        (None, None, {"OPENAI_BASE_URL": "https://eu.api.openai.com/v1"}, "https://aihubmix.com/v1"),
        (None, None, {"OPENAI_BASE_URL": "https://o.example"}, "https://o.example/v1"),
        (None, None, {"OPENAI_BASE_URL": "", "OPENAI_API_BASE": "https://o.example"}, "https://o.example/v1"),
        (None, None, {"OPENAI_API_BASE": "https://api.openai.com/v1"}, "https://aihubmix.com/v1"),
        (None, None, {"OPENAI_BASE_URL": "https://o.example", "HUBMIX_API_KEY": "sk-1"}, "https://aihubmix.com/v1"),
        (None, None, {"OPENAI_BASE_URL": "https://o.example", "AIHUBAPI_API_KEY": "sk"}, "https://aihubmix.com/v1"),
        (
            None,
            None,
            {"OPENAI_BASE_URL": "https://o.example", "AIHUBMIX_BASE_URL": "https://b.example"},
            "https://b.example/v1",
        ),
        ("aihubapi", None, {"OPENAI_BASE_URL": "https://o.example"}, "https://aihubapi.ai/v1"),
    ],
)
def test_the_order_of_base_urls(name: str | None, base_url: str | None, environ: dict[str, str], expected: str) -> None:
    assert resolve_endpoint(name, base_url, environ).base_url == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://hub.example", "https://hub.example/v1"),
        ("https://hub.example/", "https://hub.example/v1"),
        ("https://hub.example/v1/", "https://hub.example/v1"),
        ("https://HUB.example/api/openai", "https://hub.example/api/openai"),
        (" http://127.0.0.1:3000 ", "http://127.0.0.1:3000/v1"),
        ("http://localhost:3000/v1", "http://localhost:3000/v1"),
        ("http://[::1]:3000/v1", "http://[::1]:3000/v1"),
        ("https://hub.example:443/v1", "https://hub.example/v1"),
        ("https://hub.xn--r8jz45g/v1", "https://hub.xn--r8jz45g/v1"),
        ("https://hub.例え/v1", "https://hub.xn--r8jz45g/v1"),
    ],
)
def test_a_base_url_is_completed(given: str, expected: str) -> None:
    assert normalise_base_url(given) == expected


@pytest.mark.parametrize(
    "given",
    ["hub.example/v1", "ftp://hub.example", "http://hub.example/v1", "http://8.8.8.8/v1", "http://127.0.0.1.example/v1",
     "https://user:secret@hub.example/v1", "https://hub.example/v1?key=1", "", "https://"],
)  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_before_any_request(given: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Hub(base_url=given, api_key="sk-test")
    assert "secret" not in str(refused.value)


def test_the_order_of_keys() -> None:
    everything = {
        "HUBMIX_API_KEY": "sk-1",
        "AIHUBMIX_API_KEY": "sk-2",
        "AIHUBAPI_API_KEY": "sk-3",
        "OPENAI_API_KEY": "sk-4",
    }
    assert key_for(everything) == "sk-1"
    del everything["HUBMIX_API_KEY"]
    assert key_for(everything) == "sk-2"
    assert key_for(everything, name="aihubapi") == "sk-3"
    assert key_for(everything, base_url="https://aihubapi.ai/v1") == "sk-3"
    assert key_for(everything, base_url="https://other.example/v1") is None
    assert key_for({**everything, "AIHUBMIX_BASE_URL": "https://other.example/v1"}) == "sk-2"


def test_openai_key_goes_to_the_host_of_openai_base_url_only() -> None:
    key = {"OPENAI_API_KEY": "sk-4"}
    assert key_for(key) is None
    assert key_for({**key, "OPENAI_BASE_URL": "https://api.openai.com/v1"}) is None
    assert key_for({**key, "OPENAI_BASE_URL": "https://aihubapi.ai/v1"}, name="aihubapi") == "sk-4"
    assert key_for({**key, "OPENAI_BASE_URL": "https://aihubapi.ai/v1"}) == "sk-4"
    assert key_for({**key, "OPENAI_BASE_URL": "https://aihubapi.ai/v1"}, name="aihubmix") is None


def test_an_argument_wins_and_is_checked() -> None:
    endpoint = resolve_endpoint(None, None, {})
    assert resolve_key("sk-test", endpoint, {"HUBMIX_API_KEY": "sk-1"}).variable is None
    assert resolve_key(SecretStr("sk-test"), endpoint, {}).value == SecretStr("sk-test")
    for wrong in ("", "  ", "sk test", "sk-tést", "sk-test\nX: y"):
        with pytest.raises(ConfigurationError):
            resolve_key(wrong, endpoint, {})


def test_presets_are_found_by_host() -> None:
    assert Hub(base_url="https://aihubmix.com/v1").endpoint.preset is AIHUBMIX
    assert Hub(base_url="https://api.inferera.com/v1").endpoint.preset is AIHUBMIX
    assert Hub(base_url="https://aihubapi.ai").endpoint.preset is AIHUBAPI
    assert Hub(base_url="https://hub.example").endpoint.preset is CUSTOM
    assert Hub().endpoint.base_urls == ("https://aihubmix.com/v1", "https://api.inferera.com/v1")
    assert Hub(base_url="https://hub.example").endpoint.base_urls == ("https://hub.example/v1",)


def test_an_unknown_hub_is_named_with_the_near_one() -> None:
    with pytest.raises(ConfigurationError, match="'aihubmix'"):
        Hub("aihubmixx")
    with pytest.raises(ConfigurationError, match="base_url"):
        Hub("https://hub.example/v1")


def test_a_missing_key_is_said_before_any_request() -> None:
    with pytest.raises(ConfigurationError, match="HUBMIX_API_KEY or AIHUBMIX_API_KEY"):
        Hub().chat({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]})


def test_a_key_from_the_environment_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBMIX_API_KEY", "sk-test-one")
    frozen = pickle.dumps(Hub())
    assert b"sk-test-one" not in frozen
    assert b"HUBMIX_API_KEY" in frozen
    monkeypatch.setenv("HUBMIX_API_KEY", "sk-test-two")
    assert pickle.loads(frozen).key_id == fingerprint(SecretStr("sk-test-two"))


def test_a_key_given_in_the_code_travels() -> None:
    hub = Hub(api_key="sk-test")
    assert pickle.loads(pickle.dumps(hub)).key_id == hub.key_id
    assert copy.deepcopy(hub).key_id == hub.key_id


def test_no_text_of_a_hub_holds_its_key() -> None:
    hub = Hub(base_url="https://hub.example", api_key="sk-test-secret")
    for text in (
        repr(hub),
        str(hub),
        hub._repr_html_(),
        repr(hub.pool),
        repr(vars(hub)),
        repr(vars(hub._connection)),
        hub.key_id,
    ):
        assert "sk-test-secret" not in text


@pytest.mark.parametrize("variable", ["HUBMIX_API_KEY", "AIHUBMIX_API_KEY"])
@pytest.mark.parametrize("key", ["sk-\ntest", "sk test", "sk-tést"])
def test_a_key_of_the_environment_that_no_header_can_carry(variable: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=variable) as raised:
        key_for({variable: key})
    assert key not in str(raised.value)


def test_a_blank_openai_key_is_none() -> None:
    assert key_for({"OPENAI_BASE_URL": "https://aihubmix.com/v1", "OPENAI_API_KEY": " \n"}) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://[::1]evil.example/v1",
        "http://localhost%2f.evil.example/v1",
        "https://hub.example/a%2Fb",
        "http://*.localhost/v1",
        "http://localhost*/v1",
        "http://localhost%00.evil.example/v1",
        "https://hub.example:port/v1",
        "https://hub.example:99999",
        "https://a b/v1",
        "https://hub.exa\tmple/v1",
    ],
)
def test_a_url_that_cannot_be_one(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be an http"):
        normalise_base_url(url)


def test_another_providers_malformed_url_is_no_error() -> None:
    assert key_for({"OPENAI_BASE_URL": "http://[::1", "OPENAI_API_KEY": "sk-test"}) is None


@pytest.mark.parametrize(
    "host",
    ["new-api:3000", "new_api", "host.docker.internal:3000", "192.168.1.10:3000", "10.0.0.7", "172.16.3.4",
     "100.64.0.9",
     "169.254.1.1", "[fd00::1]:80", "[::ffff:10.0.0.7]", "nas.local", "gpu.lan", "a.b.localhost", "new-api."],
)  # fmt: skip
def test_plain_http_is_taken_for_local_hosts(host: str) -> None:
    assert normalise_base_url(f"http://{host}/v1").startswith("http://")


@pytest.mark.parametrize(
    "host",
    ["gateway.example.com", "8.8.8.8", "[2001:4860:4860::8888]", "[::ffff:8.8.8.8]", "134744072", "0x08080808", "127.1",
     "localhost.example.com", "xlan.example", "10.0.0.7.example"],
)  # fmt: skip
def test_plain_http_to_other_hosts_needs_a_word(host: str) -> None:
    url = f"http://{host}/v1"
    with pytest.raises(ConfigurationError, match=r"allow_http=True or HUBMIX_ALLOW_HTTP=1"):
        resolve_endpoint(None, url, {})
    assert resolve_endpoint(None, url, {}, allow_http=True).base_url == url
    assert resolve_endpoint(None, url, {"HUBMIX_ALLOW_HTTP": "1"}).base_url == url
    with pytest.raises(ConfigurationError, match="allow_http"):
        resolve_endpoint(None, url, {"HUBMIX_ALLOW_HTTP": "1"}, allow_http=False)


def test_credentials_in_a_url_are_not_repeated() -> None:
    for url in ("https://user:secret@hub.example/v1", "https://user:secret@hub%2f.example/v1"):
        with pytest.raises(ConfigurationError) as refused:
            normalise_base_url(url)
        assert "secret" not in str(refused.value)
