"""What address the world sees this browser from, and whether it is the pinned one.

The browser itself asks: then it is the way it really takes, with its proxy, its policies and its choice between IPv4
and IPv6. Each question is asked in a context of its own, without cookies or scripts and over a new connection: one that
was kept open would tell the address of when it was made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from playwright.sync_api import Browser
from playwright.sync_api import Error as PlaywrightError

from archiver.errors import WrongEgress
from archiver.portal.guard import Guard
from archiver.portal.relay import Relay, Trouble

Address = IPv4Address | IPv6Address

_ANSWER_TIMEOUT_S = 15.0
_LONGEST_ANSWER_BYTES = 1024
_UNPROVEN = "nobody has said yet what address the world sees"


@dataclass(frozen=True, slots=True)
class Pin:
    """The addresses the world may see us from, and the services that say which it sees: https URLs, asked in order."""

    addresses: frozenset[Address]
    echoes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sighting:
    """An echo service saw us: when, from where, which."""

    at: datetime
    address: Address
    echo: str


class Silent(Exception):
    """An echo service said nothing that is an address; the message is why, without a full stop."""


@dataclass(slots=True)
class Egress:
    """Keeps the guard shut to the site until the way out is proven, and shuts it when it turns out to be another.

    Without a `pin` nobody is asked, and only the proxy's own trouble counts. Once wrong it stays wrong: `halt` then
    gives the same answer for ever.
    """

    browser: Browser
    guard: Guard
    account: str
    pin: Pin | None
    relay: Relay | None
    every_s: float
    seen: list[Sighting] = field(default_factory=list)
    _wrong: WrongEgress | None = None
    _last_s: float = float("-inf")

    def __post_init__(self) -> None:
        if self.pin is not None:
            self.guard.unproven = _UNPROVEN

    def halt(self) -> WrongEgress | None:
        """Why nothing more may be sent, or None. Looks again when it is time to."""
        trouble = self.trouble
        if self._wrong is None and trouble is not None and trouble.sure:
            self._fail(trouble.why)
        if self._wrong is None and self.pin is not None and time.monotonic() - self._last_s >= self.every_s:
            self._look(self.pin)
        return self._wrong

    @property
    def trouble(self) -> Trouble | None:
        """What the proxy, if there is one, had against us last: why a page or an echo service may not have answered."""
        return self.relay.trouble if self.relay is not None else None

    def check(self) -> None:
        """Look now. Raises WrongEgress."""
        if self._wrong is None and self.pin is not None:
            self._look(self.pin)
        if self._wrong is not None:
            raise self._wrong

    def _look(self, pin: Pin) -> None:
        sighting = self._sighting(pin)
        if isinstance(sighting, WrongEgress):
            self._fail(sighting)
            return
        self.seen.append(sighting)
        if sighting.address not in pin.addresses:
            pinned = " or ".join(sorted(map(str, pin.addresses)))
            self._fail(
                WrongEgress(
                    f"The world sees {self.account} from {sighting.address}, and its `egress_ip` is {pinned}.",
                    hint="Nothing is sent to the site from there. Mend the way out (VPN, proxy, router), or, if the "
                    "address has changed for good, correct `egress_ip`.",
                )
            )
            return
        self.guard.unproven = ""
        self._last_s = time.monotonic()

    def _fail(self, why: WrongEgress) -> None:
        self._wrong = why
        self.guard.unproven = why.message

    def _sighting(self, pin: Pin) -> Sighting | WrongEgress:
        silent: list[str] = []
        for url in pin.echoes:
            host = urlsplit(url).netloc
            try:
                return Sighting(datetime.now(UTC), self._ask(url), host)
            except Silent as why:
                if self.trouble is not None:
                    return self.trouble.why
                silent.append(f"{host} {why}")
        return WrongEgress(
            f"Nobody said what address the world sees {self.account} from: {'; '.join(silent)}.",
            hint="Nothing is sent to the site before that is known. Check `echo` in the configuration and this "
            "machine's network; `echo` may be a list, asked in its order.",
        )

    def _ask(self, url: str) -> Address:
        context = self.browser.new_context(java_script_enabled=False, service_workers="block", accept_downloads=False)
        self.guard.watch_answers(context)
        self.guard.asking = url
        try:
            answer = context.new_page().goto(url, timeout=_ANSWER_TIMEOUT_S * 1000)
            if answer is None or answer.status != 200:
                raise Silent(f"answered {answer.status if answer else 'nothing'}")
            return read_answer(answer.body(), answer.headers)
        except PlaywrightError as error:
            reason = error.message.splitlines()[0].removeprefix("Page.goto: ").split(" at ")[0]
            raise Silent(f"did not answer ({reason})") from None
        finally:
            self.guard.asking = ""
            context.close()


def read_answer(body: bytes, headers: Mapping[str, str]) -> Address:
    """The address in an echo service's answer: plain text, or a JSON object with it under `ip`. Raises Silent.

    An IPv4 address that is written as one of IPv6 is the IPv4 address.
    """
    try:
        if len(body) > _LONGEST_ANSWER_BYTES:
            raise ValueError
        text = body.decode("ascii").strip()
        if "json" in headers.get("content-type", ""):
            text = json.loads(text)["ip"]
            if not isinstance(text, str):
                raise ValueError
        address = ip_address(text)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Silent("answered something that is not an address") from None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
