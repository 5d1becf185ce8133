"""The relay, asked over real connections: who is let through, where to, and what is said of a proxy that fails."""

from __future__ import annotations

import base64
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from archiver.errors import Exit
from archiver.portal.relay import Proxy, Relay
from tests.browser.proxies import PASSWORD, USER, Certificate, PasswordProxy

Scheme = Literal["http", "https", "socks5"]
SCHEMES: list[Scheme] = ["socks5", "http"]


@pytest.fixture
def server() -> Iterator[tuple[int, list[tuple[str, str, dict[str, str]]]]]:
    """A web server on loopback: its port, and (who asked, what for, with which fields)."""
    asked: list[tuple[str, str, dict[str, str]]] = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            asked.append((self.client_address[0], self.path, {k.casefold(): v for k, v in self.headers.items()}))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"the page")

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made.server_port, asked
    made.shutdown()
    thread.join()
    made.server_close()


def talk(relay: Relay, *pieces: bytes) -> bytes:
    """Everything the relay answers to these, until it closes or says nothing more for a while."""
    heard = b""
    with socket.create_connection(("127.0.0.1", int(relay.address.rpartition(":")[2])), timeout=5) as connection:
        for piece in pieces:
            connection.sendall(piece)
            heard += connection.recv(65536)
        while chunk := connection.recv(65536):
            heard += chunk
    return heard


def signed(relay: Relay) -> bytes:
    return b"Proxy-Authorization: Basic " + base64.b64encode(f"{relay.username}:{relay.password}".encode())


def connect(place: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((b"CONNECT " + place + b" HTTP/1.1", b"Host: " + place, *fields, b"", b""))


def through(proxy: PasswordProxy, scheme: Scheme, user: str = USER, password: str = PASSWORD) -> Proxy:
    return Proxy(scheme, "127.0.0.1", proxy.port, user, password)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_asked_of_the_relay_comes_through_the_proxy(
    scheme: Scheme, server: tuple[int, list[tuple[str, str, dict[str, str]]]]
) -> None:
    port, asked = server
    with (
        PasswordProxy(scheme, {"seller.test": ("127.0.0.1", port)}) as proxy,
        Relay(through(proxy, scheme), "acme", lambda host, port: True) as relay,
    ):
        tunnel = connect(b"seller.test:8443", signed(relay))
        tunnelled = talk(relay, tunnel, b"GET /tunnel HTTP/1.0\r\n\r\n")
        forwarded = talk(
            relay,
            b"GET http://seller.test/plain?a=1 HTTP/1.1\r\nHost: seller.test\r\nProxy-Connection: keep-alive\r\n"
            + signed(relay)
            + b"\r\n\r\n",
        )

    assert tunnelled.startswith(b"HTTP/1.1 200 Connection established\r\n\r\n")
    assert tunnelled.endswith(b"the page")
    assert forwarded.endswith(b"the page")
    assert [(peer, path) for peer, path, _ in asked] == [("127.0.0.2", "/tunnel"), ("127.0.0.2", "/plain?a=1")]
    assert proxy.asked == [("seller.test", 8443), ("seller.test", 80)]
    assert asked[1][2] == {"host": "seller.test", "connection": "close"}
    assert relay.trouble is None


@pytest.mark.parametrize(
    "field",
    [
        b"Accept: */*",
        b"Proxy-Authorization: Basic " + base64.b64encode(b"archiver:"),
        b"Proxy-Authorization: Basic \xff\xfe",
        b"Proxy-Authorization: Bearer x",
    ],
)
def test_who_does_not_know_the_password_of_this_run_is_let_nowhere(field: bytes) -> None:
    with (
        PasswordProxy("socks5") as proxy,
        Relay(through(proxy, "socks5"), "acme", lambda host, port: True) as relay,
    ):
        answer = talk(relay, connect(b"127.0.0.1:443", field))

    assert answer.startswith(b"HTTP/1.1 407 ")
    assert (proxy.asked, proxy.refused) == ([], 0)


def test_each_relay_has_a_password_of_its_own() -> None:
    proxy = Proxy("http", "127.0.0.1", 9)
    with Relay(proxy, "acme", lambda *_: True) as one, Relay(proxy, "acme", lambda *_: True) as other:
        passwords = {one.password, other.password}

    assert len(passwords) == 2


def test_a_place_that_is_not_allowed_is_not_even_asked_for() -> None:
    with (
        PasswordProxy("http") as proxy,
        Relay(through(proxy, "http"), "acme", lambda host, port: (host, port) == ("seller.test", 443)) as relay,
    ):
        answers = [
            talk(relay, connect(place, signed(relay)))[:12]
            for place in (b"update.test:443", b"seller.test:80", b"seller.test:443", b"[::1]:443")
        ]

    assert answers == [b"HTTP/1.1 403", b"HTTP/1.1 403", b"HTTP/1.1 502", b"HTTP/1.1 403"]
    assert proxy.asked == [("seller.test", 443)]
    assert relay.trouble is None  # the proxy cannot reach it, and that is not the proxy's fault


@pytest.mark.parametrize(
    "head",
    [
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"CONNECT seller.test HTTP/1.1\r\n\r\n",
        b"GET https://seller.test/ HTTP/1.1\r\n\r\n",
        b"GET ftp://seller.test/ HTTP/1.1\r\n\r\n",
        b"CONNECT seller.test:99999 HTTP/1.1\r\n\r\n",
        b"CONNECT [seller.test:1 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ],
)
def test_what_no_browser_asks_of_a_proxy_is_hung_up_on(head: bytes) -> None:
    with Relay(Proxy("http", "127.0.0.1", 9), "acme", lambda *_: True) as relay:
        answer = talk(relay, head)

    assert answer == b""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "user, password, wanted",
    [
        (USER, "wrong", "refused the name or the password"),
        ("", "", "wants a name and a password"),
    ],
)
def test_a_refused_sign_in_is_told_from_everything_else(scheme: Scheme, user: str, password: str, wanted: str) -> None:
    with (
        PasswordProxy(scheme) as proxy,
        Relay(through(proxy, scheme, user, password), "acme", lambda *_: True) as relay,
    ):
        answer = talk(relay, connect(b"127.0.0.1:443", signed(relay)))

    assert answer.startswith(b"HTTP/1.1 502 ")
    assert relay.trouble is not None
    assert str(relay.trouble.why) == (
        f"The proxy {scheme}://127.0.0.1:{proxy.port} {wanted}. Keep the right ones in the vault: "
        "`archiver account proxy acme --user NAME`."
    )
    assert relay.trouble.why.exit_code is Exit.WRONG_EGRESS
    assert relay.trouble.sure


@pytest.mark.parametrize(
    "scheme, answer, why",
    [
        ("socks5", b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers, but not as such a proxy does: that is not SOCKS5."),
        ("socks5", b"\x05\x01", "answers, but not as such a proxy does: it wants a kind of sign-in"),
        ("socks5", b"", "closed the connection without an answer."),
        ("http", b"\x05\xff\r\n\r\n", "answers, but not as such a proxy does: that is not HTTP."),
        ("http", b"", "closed the connection without an answer."),
        ("http", b"HTTP/1.1 407 No\r\n\r\n", "refused the name or the password."),
    ],
)
def test_a_proxy_of_another_kind_is_named_as_that(scheme: Scheme, answer: bytes, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with Relay(Proxy(scheme, "127.0.0.1", port, USER, PASSWORD), "acme", lambda *_: True) as relay:
            talk(relay, connect(b"seller.test:443", signed(relay)))
        thread.join()

    assert relay.trouble is not None
    assert f"127.0.0.1:{relay.proxy.port} {why}" in relay.trouble.why.message
    assert relay.trouble.sure is bool(answer)


def test_a_proxy_behind_tls_is_spoken_to_only_where_its_certificate_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Certificate.made(tmp_path / "proxy.pem", "127.0.0.1")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        PasswordProxy("http", tls=certificate.server()) as proxy,
        Relay(through(proxy, "https"), "acme", lambda *_: True) as relay,
    ):
        asked = connect(f"127.0.0.1:{server.getsockname()[1]}".encode(), signed(relay))
        refused = talk(relay, asked)
        trouble = relay.trouble
        # How an office makes its own certificates known to OpenSSL.
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
        address = ("127.0.0.1", int(relay.address.rpartition(":")[2]))
        with socket.create_connection(address, timeout=5) as connection:
            connection.sendall(asked)
            accepted = connection.recv(1000)

    assert refused.startswith(b"HTTP/1.1 502")
    assert trouble is not None
    assert trouble.why.message == (
        f"The certificate of the proxy https://127.0.0.1:{proxy.port} is not to be trusted: self-signed certificate."
    )
    assert accepted.startswith(b"HTTP/1.1 200")
    assert relay.trouble is None


def test_trouble_is_over_when_the_proxy_lets_through_again() -> None:
    with PasswordProxy("socks5") as proxy:
        right = through(proxy, "socks5")
        with Relay(through(proxy, "socks5", password="wrong"), "acme", lambda *_: True) as relay:
            talk(relay, connect(b"127.0.0.1:1", signed(relay)))
            before = relay.trouble
            relay.proxy = right
            talk(relay, connect(b"127.0.0.1:1", signed(relay)))

    assert before is not None
    assert relay.trouble is None


def test_a_relay_that_is_left_closes_what_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, PasswordProxy("http") as proxy:
        with Relay(through(proxy, "http"), "acme", lambda *_: True) as relay:
            address = ("127.0.0.1", int(relay.address.rpartition(":")[2]))
            connection = socket.create_connection(address, timeout=5)
            place = f"127.0.0.1:{server.getsockname()[1]}".encode()
            connection.sendall(connect(place, signed(relay)))
            answer = connection.recv(1000)
        rest = connection.recv(1000)
        connection.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)

    assert answer.startswith(b"HTTP/1.1 200")
    assert rest == b""
