"""Small proxies that want a password, and what they see: SOCKS5 and HTTP, on loopback, in a thread of their own.

They share no code with the relay they are there to test. Each leaves by an address of its own (127.0.0.2 and so on), so
that a server behind it sees whether a request came through it.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER = "büro"
PASSWORD = "läßt: niemanden durch"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class PasswordProxy:
    """Lets through who knows USER and PASSWORD. `asked` is every place it was asked for, as it was named; `names` says
    where a name leads, and nobody else knows it. `leaves_from` may be changed at any time."""

    scheme: str
    names: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    leaves_from: str = "127.0.0.2"
    asked: list[tuple[str, int]] = field(default_factory=list)
    refused: int = 0
    port: int = 0
    tls: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open: set[asyncio.Task[None]] = set()
        serve = self._socks5 if self.scheme == "socks5" else self._http

        async def listen() -> asyncio.Server:
            return await asyncio.start_server(lambda r, w: self._guarded(serve, r, w), "127.0.0.1", 0, ssl=self.tls)

        self._server = asyncio.run_coroutine_threadsafe(listen(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Go down, and close what is open. May be called twice."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = tuple(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guarded(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await serve(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()
            self._open.discard(task)

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        known = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if f"Proxy-Authorization: {known}\r\n" not in head:
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        method, target, _ = head.split(" ", 2)
        assert method == "CONNECT"
        host, _, port = target.rpartition(":")
        there = await self._connected(host.strip("[]"), int(port))
        # In two pieces, as a network may deliver it.
        writer.write(b"HTTP/1.1 200 O" if there else b"HTTP/1.1 502 N")
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(b"K\r\nVia: test\r\n\r\n")
        await writer.drain()
        if there:
            await _joined((reader, writer), there)

    async def _socks5(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        if 2 not in await reader.readexactly(count):
            self.refused += 1
            writer.write(b"\x05\xff")
            await writer.drain()
            return
        writer.write(b"\x05\x02")
        await reader.readexactly(1)
        user = await reader.readexactly((await reader.readexactly(1))[0])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        if (user.decode(), password.decode()) != (USER, PASSWORD):
            self.refused += 1
            writer.write(b"\x01\x01")
            await writer.drain()
            return
        writer.write(b"\x01\x00")
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = ".".join(str(byte) for byte in await reader.readexactly(4))
        there = await self._connected(host, int.from_bytes(await reader.readexactly(2)))
        writer.write(b"\x05" + (b"\x00" if there else b"\x04") + b"\x00\x01\x00\x00\x00\x00\x00\x00")
        await writer.drain()
        if there:
            await _joined((reader, writer), there)

    async def _connected(self, host: str, port: int) -> Streams | None:
        self.asked.append((host, port))
        if host not in self.names and not host.startswith("127."):
            return None
        there = self.names.get(host, (host, port))
        try:
            return await asyncio.open_connection(*there, local_addr=(self.leaves_from, 0))
        except OSError:
            return None


async def _joined(one: Streams, other: Streams) -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()

    try:
        await asyncio.gather(pour(one[0], other[1]), pour(other[0], one[1]))
    finally:
        other[1].close()


@dataclass(frozen=True)
class Certificate:
    """A certificate nobody signed but itself, for `names`; `file` has it with its key."""

    file: Path

    @classmethod
    def made(cls, file: Path, *names: str) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        now = datetime.now(UTC)
        alternatives = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        plain = serialization.NoEncryption()
        pkcs8 = serialization.PrivateFormat.PKCS8
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, pkcs8, plain)
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return cls(file)

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        return context
