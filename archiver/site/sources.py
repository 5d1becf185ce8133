"""Which reader reads which source. A capture in, what it says out; never raises."""

from __future__ import annotations

from collections.abc import Mapping

from archiver.model import Capture, Source, Thread, Unread
from archiver.site.buyer_messages import BuyerMessages
from archiver.site.cases import Cases
from archiver.site.interface import Reader
from archiver.site.performance_notifications import PerformanceNotifications
from archiver.site.sitemap import SiteMap

READERS: Mapping[Source, Reader] = {
    Source.CASES: Cases(),
    Source.BUYER_MESSAGES: BuyerMessages(),
    Source.PERFORMANCE_NOTIFICATIONS: PerformanceNotifications(),
}


def read(capture: Capture, sitemap: SiteMap) -> Thread | Unread:
    """What a thread capture says."""
    if capture.scope.source is None:
        return Unread("This capture belongs to no source.")
    try:
        return READERS[capture.scope.source].thread(capture, sitemap)
    except Exception as error:
        # Our own mistake, and it must not keep the archive from being opened, nor a run from going on.
        return Unread(f"The reader failed on this page ({type(error).__name__}); tell us.")
