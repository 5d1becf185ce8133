"""A web service that says what address it sees: the other end of `egress_ip`, for a server of one's own.

Needs no configuration and no archive, and keeps no record of who asked. Speaks plain HTTP: TLS is the business of the
web server before it.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Collection
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from archiver.cli.terminal import say
from archiver.errors import Exit, UsageError

if TYPE_CHECKING:
    from aiohttp import web


def echo(args: argparse.Namespace) -> int:
    """Answer until told to stop. Raises UsageError where it cannot listen."""
    from aiohttp import web

    host, port = args.listen
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Both kinds of address on [::], so that one service is seen by either.
        listening = socket.create_server(
            (host, port), family=family, dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6()
        )
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]  # the rest repeats where
        raise UsageError(
            f"{host}, port {port}, cannot be listened at: {why}.",
            hint="Name another place with --listen.",
        ) from error
    shown = f"[{host}]" if family == socket.AF_INET6 else host
    port = listening.getsockname()[1]
    say(f"Says what address it sees, at http://{shown}:{port}/. Put it behind TLS. Ctrl-C ends it.")
    web.run_app(application(args.trust), sock=listening, print=None, access_log=None)
    return Exit.DONE


def application(trusted: Collection[str] = ()) -> web.Application:
    """Answers GET / with the asker's address: a line of text, or `{"ip": …}` where JSON is asked for."""
    from aiohttp import web

    async def answer(request: web.Request) -> web.Response:
        kept_by_nobody = {"Cache-Control": "no-store"}
        try:
            seen = asker(request.remote or "", request.headers.getall("X-Forwarded-For", []), trusted)
        except ValueError:
            return web.Response(status=400, text="X-Forwarded-For holds no address\n", headers=kept_by_nobody)
        if "application/json" in request.headers.get("Accept", ""):
            return web.json_response({"ip": seen}, headers=kept_by_nobody)
        return web.Response(text=f"{seen}\n", headers=kept_by_nobody)

    served = web.Application()
    served.router.add_get("/", answer)
    return served


def asker(peer: str, forwarded: Collection[str], trusted: Collection[str]) -> str:
    """Whose request it is: the peer's, or what a trusted peer says last about whom it forwards for.

    Only the last: what stands before it the asker may have written. Raises ValueError where a trusted peer says
    something that is no address. IPv4 in IPv6's clothes is IPv4.
    """
    address = _plain(peer)
    if address not in {_plain(proxy) for proxy in trusted} or not forwarded:
        return address
    return _plain(",".join(forwarded).rpartition(",")[2].strip())


def _plain(text: str) -> str:
    address = ip_address(text)
    return str((address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address)
