"""The way through a proxy: a small HTTP proxy on loopback, for one browser, for as long as it runs.

Chromium cannot sign in to a SOCKS5 proxy, and what stands on its command line is for everyone to read. So it is told of
this relay only, which speaks to the real proxy in its stead. Names go to the real proxy unresolved, and what the real
proxy does not let through fails: there is no other way.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from archiver.errors import WrongEgress

_ANSWER_TIMEOUT_S = 10.0
"""A proxy that takes longer to open one connection is as good as none. Less than a page or the echo service is waited
for, so that it is the proxy that is named."""

_HEAD_TIMEOUT_S = 60.0
"""The browser opens connections it may need later, and says only then what for."""

_LONGEST_SOCKS_FIELD = 255


@dataclass(frozen=True, slots=True)
class Proxy:
    """The real proxy. Names are resolved there, whatever its kind. `username` is empty where it wants no sign-in."""

    scheme: Literal["http", "https", "socks5"]
    host: str
    port: int
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{_authority(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the real proxy had against us. Not `sure`: it may have been the place asked for, and the proxy's way to say
    so."""

    why: WrongEgress
    sure: bool


MayReach = Callable[[str, int], bool]
"""Whether a host (name or address, without brackets) and port may be connected to."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Relay:
    """Listens on 127.0.0.1, at a port nobody knows beforehand, between `__enter__` and `__exit__`.

    Who has not `username` and `password`, which are new each time and stand nowhere else, is let nowhere: no other
    process of this machine, and none of the browser's own requests (updates, a look at its maker's sign-in), which the
    guard does not see. `may_reach` bounds the rest. `trouble` is what the real proxy had against us at the last
    connection: it is down, or it refused the sign-in. That it cannot reach a host is no trouble.
    """

    def __init__(self, proxy: Proxy, account: str, may_reach: MayReach) -> None:
        self.proxy, self.account, self.may_reach = proxy, account, may_reach
        self.username, self.password = "archiver", secrets.token_urlsafe(32)
        self.address = ""
        self.trouble: Trouble | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accepted, "127.0.0.1", 0)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        serving = tuple(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    # --- the browser's side ------------------------------------------------------------------------------------

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  asyncio runs a coroutine in a task
        self._serving.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, asyncio.LimitOverrunError, _NotHttp):
            pass  # the browser went away, or somebody who does not speak HTTP came by
        finally:
            writer.close()
            self._serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_TIMEOUT_S):
            asked = _Asked.read(await reader.readuntil(b"\r\n\r\n"))
        if not hmac.compare_digest(asked.sign_in.encode(), _basic(self.username, self.password).encode()):
            await _answer(writer, "407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="archiver"')
            return
        if not self.may_reach(asked.host, asked.port):
            await _answer(writer, "403 Forbidden")
            return
        try:
            connection = await self._opened(asked.host, asked.port)
        except _NoWay:
            await _answer(writer, "502 Bad Gateway")
            return
        try:
            if asked.forwarded:
                connection[1].write(asked.forwarded)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_pump(reader, connection[1]), _pump(connection[0], writer))
        finally:
            connection[1].close()

    # --- the proxy's side --------------------------------------------------------------------------------------

    async def _opened(self, host: str, port: int) -> Connection:
        """A connection through the real proxy to there. Raises _NoWay, and says in `trouble` if the proxy is why."""
        proxy = self.proxy
        writer = None
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                secure = ssl.create_default_context() if proxy.scheme == "https" else None
                reader, writer = await asyncio.open_connection(proxy.host, proxy.port, ssl=secure)
                await (_through_socks if proxy.scheme == "socks5" else _through_http)(proxy, host, port, reader, writer)
        except (OSError, EOFError, _NoWay, _SignInRefused, _NotThisProtocol) as error:
            self.trouble = self._trouble(error)
            if writer is not None:
                writer.close()
            raise _NoWay from error
        self.trouble = None
        return reader, writer

    def _trouble(self, error: OSError | EOFError | _NoWay | _SignInRefused | _NotThisProtocol) -> Trouble | None:
        proxy, sure = self.proxy, True
        hint = "Nothing is sent without it. Check `proxy` in the configuration, and whether the proxy runs."
        match error:
            case _NoWay():
                return None
            case _SignInRefused():
                wanted = "refused the name or the password" if proxy.username else "wants a name and a password"
                why = f"The proxy {proxy} {wanted}."
                hint = f"Keep the right ones in the vault: `archiver account proxy {self.account} --user NAME`."
            case _NotThisProtocol():
                why = f"{proxy} answers, but not as such a proxy does: {error}."
            # Some do so where it is the place asked for that does not answer.
            case TimeoutError():
                why, sure = f"The proxy {proxy} did not answer within {_ANSWER_TIMEOUT_S:.0f} s.", False
            case EOFError():
                why, sure = f"The proxy {proxy} closed the connection without an answer.", False
            case ssl.SSLCertVerificationError():
                why = f"The certificate of the proxy {proxy} is not to be trusted: {error.verify_message}."
            case OSError():
                # asyncio words the system's errors anew; the resolver's have numbers of their own.
                known = error.errno is not None and error.errno > 0
                said = os.strerror(error.errno or 0) if known else error.strerror or "no route"
                why = f"The proxy {proxy} cannot be reached: {said}."
        return Trouble(WrongEgress(why, hint=hint), sure)


class _NoWay(Exception):
    """The connection that was asked for is not to be had."""


class _SignInRefused(Exception):
    """The real proxy wants another name or password than it was given."""


class _NotThisProtocol(Exception):
    """What listens there speaks something else."""


class _NotHttp(Exception):
    """What a proxy is asked begins otherwise."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the browser asks of its proxy. `forwarded`: what the server at the other end is sent, where the browser does
    not go on to speak to it itself, as it does after CONNECT."""

    host: str
    port: int
    sign_in: str
    forwarded: bytes = b""

    @classmethod
    def read(cls, head: bytes) -> _Asked:
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        fields = [
            (name.strip().casefold(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
        ]
        sign_in = next((value for name, value in fields if name == "proxy-authorization"), "")
        try:
            method, target, version = first.split(" ")
            connects = method == "CONNECT"
            parts = urlsplit(f"//{target}" if connects else target)
            port = parts.port or (0 if connects else 80)
        except ValueError as error:
            raise _NotHttp from error
        if not parts.hostname or not port or not (connects or parts.scheme == "http"):
            raise _NotHttp
        if connects:
            return cls(parts.hostname, port, sign_in)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # One request to a connection: the next may be for another server.
        kept = [
            line
            for line, (name, _) in zip(lines, fields, strict=True)
            if name not in ("proxy-authorization", "proxy-connection", "connection")
        ]
        forwarded = "\r\n".join((f"{method} {path} {version}", *kept, "Connection: close", "", ""))
        return cls(parts.hostname, port, sign_in, forwarded.encode("latin-1"))


async def _answer(writer: asyncio.StreamWriter, status: str, *fields: str) -> None:
    lines = (f"HTTP/1.1 {status}", *fields, "Content-Length: 0", "Connection: close", "", "")
    writer.write("\r\n".join(lines).encode())
    await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one side to the other, and that it has ended."""
    with suppress(OSError):
        while chunk := await reader.read(64 * 1024):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()  # TLS cannot be closed by halves


async def _through_http(
    proxy: Proxy, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """CONNECT, with Basic credentials (RFC 9110, 9.3.6; RFC 7617)."""
    there = _authority(host, port)
    sign_in = (f"Proxy-Authorization: {_basic(proxy.username, proxy.password)}",) if proxy.username else ()
    writer.write("\r\n".join((f"CONNECT {there} HTTP/1.1", f"Host: {there}", *sign_in, "", "")).encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise _NotThisProtocol("its answer has no end") from error
    version, _, rest = head.decode("latin-1").partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/") or not status.isdigit():
        raise _NotThisProtocol("that is not HTTP")
    if status == "407":
        raise _SignInRefused
    if not status.startswith("2"):
        raise _NoWay


async def _through_socks(
    proxy: Proxy, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """SOCKS5 (RFC 1928), with name and password where it asks for them (RFC 1929)."""
    without, by_password, none_will_do = 0, 2, 0xFF
    methods = bytes((without, by_password) if proxy.username else (without,))
    writer.write(bytes((5, len(methods))) + methods)
    version, method = await reader.readexactly(2)
    if version != 5:
        raise _NotThisProtocol("that is not SOCKS5")
    if method == none_will_do:
        raise _SignInRefused
    if method not in methods:
        raise _NotThisProtocol("it wants a kind of sign-in that was not offered")
    if method == by_password:
        writer.write(b"\x01" + _counted(proxy.username.encode()) + _counted(proxy.password.encode()))
        try:
            refused = (await reader.readexactly(2))[1] != 0
        except EOFError as error:  # as some do
            raise _SignInRefused from error
        if refused:
            raise _SignInRefused
    writer.write(b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2))
    version, reply, _, kind = await reader.readexactly(4)
    if version != 5 or kind not in (1, 3, 4):
        raise _NotThisProtocol("that is not SOCKS5")
    if reply != 0:
        raise _NoWay
    # The address it is bound to tells nothing, and has to be read past.
    await reader.readexactly({1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0])
    await reader.readexactly(2)


def _socks_address(host: str) -> bytes:
    try:
        address = ip_address(host)
    except ValueError:
        return b"\x03" + _counted(host.encode())
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


def _counted(field: bytes) -> bytes:
    if len(field) > _LONGEST_SOCKS_FIELD:
        raise _NoWay
    return bytes((len(field),)) + field


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if _is_ipv6(host) else f"{host}:{port}"


def _is_ipv6(host: str) -> bool:
    try:
        return isinstance(ip_address(host), IPv6Address)
    except ValueError:
        return False


def _basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()
