"""The guard that keeps every test on loopback."""

from __future__ import annotations

import asyncio
import socket
import urllib.request

import pytest

from tests.support import network


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.create_connection(("192.0.2.1", 443), timeout=0.01),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
        lambda: socket.create_connection(("2001:db8::1", 443), timeout=0.01),
        lambda: socket.getaddrinfo("hub.internal", 443),
        lambda: socket.gethostbyaddr("192.0.2.1"),
        lambda: socket.getnameinfo(("192.0.2.1", 443), 0),
        lambda: socket.gethostbyname("hub.internal"),
        lambda: urllib.request.urlopen("https://hub.internal/v1/models"),
        lambda: asyncio.run(_open("192.0.2.1")),
    ],
    ids=[
        "connect",
        "datagram",
        "IPv6",
        "lookup",
        "reverse lookup",
        "name of an address",
        "lookup by name",
        "urllib",
        "asyncio",
    ],
)
def test_hosts_beyond_loopback_are_refused_and_noted(reach):
    with pytest.raises(network.NetworkBlockedError, match="nothing beyond loopback"):
        reach()
    assert len(network.take_stopped()) == 1


def test_loopback_is_open():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
    assert socket.getaddrinfo("localhost", 80)


def test_reserved_name_is_not_found_without_asking():
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("hub.invalid", 443)
    assert network.take_stopped() == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((None, True), ("", True), ("localhost", True), ("127.0.0.9", True), ("::1", True), ("0.0.0.0", True)),
        *(("fe80::1%eth0", False), ("10.0.0.1", False), ("localhost.evil.com", False), ("example.com", False)),
    ],
)
def test_is_loopback(host, expected):
    assert network.is_loopback(host) is expected


async def _open(host: str) -> None:
    await asyncio.wait_for(asyncio.open_connection(host, 443), timeout=0.05)
