"""Loads the site map, and lays the user's `site.toml` over it key by key.

A value read once; every other module is handed the part it needs. The map holds paths and never the host of a page,
so that a mended map cannot send a password elsewhere.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from archiver.errors import ConfigError
from archiver.model import Source
from archiver.signin import Screen


@dataclass(frozen=True, slots=True)
class ScreenRule:
    """How one sign-in screen is known: any of `visible` shows or `present` is there, any of `needs` shows, and none of
    `unless` is there.
    """

    name: str
    visible: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fill:
    """The field to type into and the control to press on one screen; alternatives in order."""

    field: tuple[str, ...]
    submit: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Switcher:
    """Selectors of the account switcher's page and of the header that names the account."""

    row: str
    details: str
    label: str
    confirm: tuple[str, ...]
    header_label: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListingPost:
    """A POST that only reads: its path, and the only top-level keys its JSON body may have."""

    path: str
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class GuardMap:
    """What the guard may let through besides plain GETs to the site, and the GETs it must not."""

    asset_hosts: tuple[str, ...]
    sign_in_posts: tuple[str, ...]
    person_posts: tuple[str, ...]
    forbidden_gets: tuple[str, ...]
    listing_posts: tuple[ListingPost, ...]


@dataclass(frozen=True, slots=True)
class SourceMap:
    """Where one source lists and shows its threads. `{id}` in a path stands for the site's id of a thread."""

    source: Source
    list: str
    list_json: str
    list_query: str
    open: tuple[str, ...]
    thread: str
    thread_json: str
    thread_ready: tuple[str, ...]
    expand: tuple[str, ...]
    next: tuple[str, ...]
    heading: tuple[str, ...]
    """Where a thread's page names what it shows; `selector@attribute` is what stands in an attribute."""
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SiteMap:
    """The whole map."""

    home: str
    switcher_path: str
    identity_path: str
    marketplaces: Mapping[str, tuple[str, ...]]
    """Two-letter code to (marketplaceId, names in several languages…)."""
    guard: GuardMap
    screens: tuple[ScreenRule, ...]
    fills: Mapping[str, Fill]
    switcher: Switcher
    sources: Mapping[Source, SourceMap]

    def marketplace_id(self, code: str) -> str:
        return self.marketplaces[code][0]

    def marketplace_code(self, marketplace_id: str) -> str | None:
        """The two-letter code of a marketplaceId, or None where the map does not know it."""
        return next((code for code, names in self.marketplaces.items() if names[0] == marketplace_id), None)


def load(overlay: Path | None = None) -> SiteMap:
    """The map we ship, with the user's file laid over it where there is one.

    Raises ConfigError when the user's file is not TOML, gives a key we know a value of another type, or names a screen
    that the sign-in does not know.
    """
    tree = tomllib.loads((files("archiver.site") / "seller_central.toml").read_text("utf-8"))
    if overlay is not None and overlay.exists():
        try:
            tree = _laid_over(tree, tomllib.loads(overlay.read_text("utf-8")), overlay, "")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{overlay} is not TOML: {error}.", hint="Correct that line.") from error
    try:
        return _site_map(tree)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"The site map does not hold together: {error!r}.",
            hint=f"Compare {overlay or 'the shipped map'} with the shipped seller_central.toml.",
        ) from error


def _laid_over(base: dict[str, Any], top: dict[str, Any], path: Path, where: str) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        old = base.get(key)
        if old is not None and type(old) is not type(value):
            raise ConfigError(
                f"{path}: {where}{key} must be a {type(old).__name__}, not a {type(value).__name__}.",
                hint="Give it a value like the one in the shipped seller_central.toml.",
            )
        if isinstance(old, dict):
            merged[key] = _laid_over(old, value, path, f"{where}{key}.")
        elif key == "screen" and not where:
            merged[key] = _screens_laid_over(old or [], value, path)
        else:
            merged[key] = value
    return merged


def _screens_laid_over(base: list[dict[str, Any]], top: list[Any], path: Path) -> list[dict[str, Any]]:
    """A screen of the user's mends the one of its name, which keeps its place: the first match wins."""
    merged = {screen["name"]: screen for screen in base}
    for screen in top:
        if not isinstance(screen, dict) or screen.get("name") not in merged:
            raise ConfigError(
                f"{path}: a [[screen]] must have the name of one of ours.", hint=f"These are: {', '.join(merged)}."
            )
        merged[screen["name"]] = _laid_over(merged[screen["name"]], screen, path, "screen.")
    return list(merged.values())


def _site_map(tree: dict[str, Any]) -> SiteMap:
    guard = tree["guard"]
    switcher = tree["switcher"]
    return SiteMap(
        home=tree["paths"]["home"],
        switcher_path=tree["paths"]["switcher"],
        identity_path=tree["paths"]["identity"],
        marketplaces={code: _texts(names) for code, names in tree["marketplaces"].items()},
        guard=GuardMap(
            asset_hosts=_texts(guard["asset_hosts"]),
            sign_in_posts=_texts(guard["sign_in_posts"]),
            person_posts=_texts(guard["person_posts"]),
            forbidden_gets=_texts(guard["forbidden_gets"]),
            listing_posts=tuple(ListingPost(p["path"], frozenset(_texts(p["keys"]))) for p in guard["listing_posts"]),
        ),
        screens=tuple(
            ScreenRule(
                name=Screen(screen["name"]),
                visible=_texts(screen.get("visible", [])),
                present=_texts(screen.get("present", [])),
                needs=_texts(screen.get("needs", [])),
                unless=_texts(screen.get("unless", [])),
            )
            for screen in tree["screen"]
        ),
        fills={name: Fill(_texts(f["field"]), _texts(f["submit"])) for name, f in tree["fill"].items()},
        switcher=Switcher(
            row=switcher["row"],
            details=switcher["details"],
            label=switcher["label"],
            confirm=_texts(switcher["confirm"]),
            header_label=_texts(switcher["header_label"]),
        ),
        sources={Source(name): _source_map(Source(name), s) for name, s in tree["source"].items()},
    )


def _texts(values: object) -> tuple[str, ...]:
    """A list of texts as it stands. A text in its place is no list of letters."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{values!r} is not a list of texts")
    return tuple(values)


def _source_map(source: Source, tree: dict[str, Any]) -> SourceMap:
    return SourceMap(
        source=source,
        list=tree["list"],
        list_json=tree["list_json"],
        list_query=tree["list_query"],
        open=_texts(tree["open"]),
        thread=tree["thread"],
        thread_json=tree["thread_json"],
        thread_ready=_texts(tree["thread_ready"]),
        expand=_texts(tree["expand"]),
        next=_texts(tree["next"]),
        heading=_texts(tree.get("heading", [])),
        keys=dict(tree["keys"]),
    )


_REGION_TLDS = (
    ("com", "ca", "com.mx", "com.br"),
    ("co.uk", "de", "fr", "it", "es", "nl", "com.be", "se", "pl", "ie", "com.tr"),
    ("ae", "sa", "eg", "co.za", "in"),
    ("co.jp", "com.au", "sg"),
)
_UNIFIED_HOSTS = {
    "sellercentral-na.amazon.com": 0,
    "sellercentral-europe.amazon.com": 1,
    "sellercentral-japan.amazon.com": 3,
    "sellercentral-fe.amazon.com": 3,
}


def trusted_origins(site: str) -> frozenset[str]:
    """The origins a sign-in for `site` may be typed into: the site itself, and for an Amazon host the retail hosts
    of its region, where Amazon's sign-in pages may stand [H: `www.amazon.TLD`; which one a seller meets is R].
    """
    parts = urlsplit(site)
    host = (parts.hostname or "").lower()
    if host in _UNIFIED_HOSTS:
        return frozenset({site, "https://www.amazon.com", *_retail(_REGION_TLDS[_UNIFIED_HOSTS[host]])})
    if host.startswith("sellercentral.amazon."):
        tld = host.removeprefix("sellercentral.amazon.")
        region: tuple[str, ...] = next((tlds for tlds in _REGION_TLDS if tld in tlds), ())
        return frozenset({site, *_retail(region)})
    return frozenset({site})


def _retail(tlds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"https://www.amazon.{tld}" for tld in tlds)
