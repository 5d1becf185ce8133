"""Performance notifications: what Amazon tells the seller about the account. List [C]; the detail is only a page.

No JSON of a detail is publicly known; its body stands in an iframe [3P]. So the subject and the time come from the
row of the list that led here (the capture's stamp holds it), and the text from the frame.
"""

from __future__ import annotations

import json

from archiver.model import Artifact, Capture, Direction, Listing, Message, Ref, Source, Thread, Unread
from archiver.site import fields
from archiver.site.fields import Unreadable, get, text
from archiver.site.interface import Link
from archiver.site.sitemap import SiteMap, SourceMap

_HERE = "source.performance-notifications."
_WHERE = _HERE + "keys."


class PerformanceNotifications:
    """Reads `/performance/api/notification` and the notification's own page."""

    def listing(self, capture: Capture, sitemap: SiteMap) -> Listing | Unread:
        site = sitemap.sources[Source.PERFORMANCE_NOTIFICATIONS]
        try:
            tree = fields.document(capture.artifacts, site.list_json)
            rows = get(tree, site.keys["rows"], list, _WHERE + "rows")
            total = tree.get(site.keys["total"])
            return Listing(
                refs=tuple(_ref(row, capture, site) for row in rows), total=total if isinstance(total, int) else None
            )
        except Unreadable as error:
            return error.unread

    def links(self, artifacts: tuple[Artifact, ...], sitemap: SiteMap) -> tuple[Link, ...]:
        return ()

    def thread(self, capture: Capture, sitemap: SiteMap) -> Thread | Unread:
        site = sitemap.sources[Source.PERFORMANCE_NOTIFICATIONS]
        try:
            row = json.loads(capture.stamp)
            content = get(row, site.keys["content"], dict, _WHERE + "content")
            subject = get(content, site.keys["subject"], str, _WHERE + "subject").strip()
            sent_at = fields.from_milliseconds(
                get(content, site.keys["created"], int, _WHERE + "created"), _WHERE + "created"
            )
        except ValueError:
            return Unread("The row that led here was not kept with the page.", _WHERE + "rows")
        except Unreadable as error:
            return error.unread
        bodies = [fields.html_text(frame.body.decode("utf-8", "replace")) for frame in capture.named("frame")]
        body = "\n\n".join(filter(None, bodies))
        if not body:
            return Unread("The page of the notification has no frame with text.", _HERE + "thread_ready")
        page = "".join(a.body.decode("utf-8", "replace") for a in capture.named("dom"))
        if not any(" ".join(subject.split()) in shown for shown in fields.shown(page, site.heading)):
            return Unread("The page does not show the notification that was opened.", _HERE + "heading")
        return Thread(
            scope=capture.scope,
            site_thread=capture.site_thread,
            subject=subject,
            status="",
            category="",
            url=capture.url,
            messages=(
                Message(
                    site_message=capture.site_thread,
                    direction=Direction.IN,
                    sender="Amazon",
                    sent_at=sent_at,
                    body=body,
                ),
            ),
        )


def _ref(row: object, capture: Capture, site: SourceMap) -> Ref:
    if not isinstance(row, dict):
        raise Unreadable("A row of the notifications is not an object.", _WHERE + "rows")
    site_thread = text(row.get(site.keys["id"]))
    if not site_thread:
        raise Unreadable("A row of the notifications has no id.", _WHERE + "id")
    content = get(row, site.keys["content"], dict, _WHERE + "content")
    created = get(content, site.keys["created"], int, _WHERE + "created")
    return Ref(
        scope=capture.scope,
        site_thread=site_thread,
        stamp=fields.stamp(row),
        active_at=fields.from_milliseconds(created, _WHERE + "created"),
    )
