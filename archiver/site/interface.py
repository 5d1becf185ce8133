"""A source is a name and pure functions over what was kept. None of them raises: what cannot be read is `Unread`.

Members import this file and never each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from archiver.model import Artifact, Capture, Listing, Thread, Unread
from archiver.site.sitemap import SiteMap


@dataclass(frozen=True, slots=True)
class Link:
    """A file a thread carries: where it is, and what the site calls it. `media_type` is as declared, or empty."""

    url: str
    name: str
    media_type: str = ""


class Reader(Protocol):
    """Reads one source."""

    def listing(self, capture: Capture, sitemap: SiteMap) -> Listing | Unread:
        """What one list page says. Rows of other marketplaces are left out, and counted where no scope is theirs."""
        ...

    def links(self, artifacts: tuple[Artifact, ...], sitemap: SiteMap) -> tuple[Link, ...]:
        """The attachments a thread page names; empty where there are none or they cannot be made out."""
        ...

    def thread(self, capture: Capture, sitemap: SiteMap) -> Thread | Unread:
        """The thread and its messages, oldest first."""
        ...
