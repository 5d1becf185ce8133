"""Buyer-seller messages. Endpoints, shapes and units from a live capture [L].

The inbox is pooled over the marketplaces of a sign-in [L]: each row says whose it is, and a listing holds only the
rows of its own scope.
"""

from __future__ import annotations

from collections import Counter

from archiver.model import Artifact, Capture, Direction, Listing, Message, Ref, Source, Thread, Unread
from archiver.site import fields
from archiver.site.fields import Unreadable, get, text
from archiver.site.interface import Link
from archiver.site.sitemap import SiteMap, SourceMap

_WHERE = "source.buyer-messages.keys."


class BuyerMessages:
    """Reads `/messaging/api/global/cases` and `…/cases/{uuid}`."""

    def listing(self, capture: Capture, sitemap: SiteMap) -> Listing | Unread:
        site = sitemap.sources[Source.BUYER_MESSAGES]
        ours = sitemap.marketplace_id(capture.scope.marketplace)
        try:
            tree = fields.document(capture.artifacts, site.list_json)
            rows = get(tree, site.keys["rows"], list, _WHERE + "rows")
            # An answer that names no token at all says nothing about the end.
            last = not tree[site.keys["next_token"]] if site.keys["next_token"] in tree else None
            refs: list[Ref] = []
            elsewhere: Counter[str] = Counter()
            for row in rows:
                if not isinstance(row, dict):
                    raise Unreadable("A row of the inbox is not an object.", _WHERE + "rows")
                marketplace_id = get(row, site.keys["marketplace"], str, _WHERE + "marketplace")
                if marketplace_id == ours:
                    refs.append(_ref(row, capture, site))
                else:
                    elsewhere[marketplace_id] += 1
        except Unreadable as error:
            return error.unread
        ids = tuple(text(row.get(site.keys["id"])) for row in rows)
        return Listing(refs=tuple(refs), rows=ids, last=last, elsewhere=tuple(sorted(elsewhere.items())))

    def links(self, artifacts: tuple[Artifact, ...], sitemap: SiteMap) -> tuple[Link, ...]:
        site = sitemap.sources[Source.BUYER_MESSAGES]
        try:
            case = fields.document(artifacts, site.thread_json).get(site.keys["thread"])
        except Unreadable:
            return ()  # the capture is kept without them; `thread` says why it cannot be read
        parts = case.get(site.keys["messages"]) if isinstance(case, dict) else None
        return tuple(
            link
            for part in (parts if isinstance(parts, list) else ())
            if isinstance(part, dict)
            for link in fields.attachment_links(part.get(site.keys["attachments"]))
        )

    def thread(self, capture: Capture, sitemap: SiteMap) -> Thread | Unread:
        site = sitemap.sources[Source.BUYER_MESSAGES]
        keys = site.keys
        try:
            tree = fields.document(capture.artifacts, site.thread_json)
            case = get(tree, keys["thread"], dict, _WHERE + "thread")
            if text(case.get(keys["id"])) != capture.site_thread:
                return Unread("The page shows another thread than the one that was opened.", _WHERE + "id")
            if tree.get(keys["more"]):
                return Unread("The thread has more messages than the page shows.", _WHERE + "more")
            buyer = text(case.get(keys["buyer"]))
            messages = [
                _message(part, capture, site, buyer) for part in get(case, keys["messages"], list, _WHERE + "messages")
            ]
            orders = case.get(keys["orders"])
            listed = [text(order) for order in orders] if isinstance(orders, list) else []
            asins = case.get(keys["asins"])
            return Thread(
                scope=capture.scope,
                site_thread=capture.site_thread,
                subject=get(case, keys["subject"], str, _WHERE + "subject").strip(),
                status=text(case.get(keys["status"])),
                category=text(case.get(keys["category"])),
                url=capture.url,
                messages=tuple(sorted(messages, key=lambda m: m.sent_at)),
                order_ids=tuple(dict.fromkeys(filter(None, [*listed, text(case.get(keys["order"]))]))),
                asins=tuple(filter(None, map(text, asins))) if isinstance(asins, list) else (),
            )
        except Unreadable as error:
            return error.unread


def _ref(row: dict[str, object], capture: Capture, site: SourceMap) -> Ref:
    site_thread = text(row.get(site.keys["id"]))
    if not site_thread:
        raise Unreadable("A row of the inbox has no id.", _WHERE + "id")
    updated = get(row, site.keys["updated"], int, _WHERE + "updated")
    return Ref(
        scope=capture.scope,
        site_thread=site_thread,
        stamp=fields.stamp({key: row.get(site.keys[key]) for key in ("updated", "status", "marketplace")}),
        active_at=fields.from_milliseconds(updated, _WHERE + "updated"),
    )


def _message(part: object, capture: Capture, site: SourceMap, buyer: str) -> Message:
    keys = site.keys
    if not isinstance(part, dict):
        raise Unreadable("A message of the thread is not an object.", _WHERE + "messages")
    message = get(part, keys["message"], dict, _WHERE + "message")
    from_us = get(part, keys["from_us"], bool, _WHERE + "from_us")
    # messageId is the stable key; caseArtifactId stands in where an artifact has none [L].
    site_message = text(message.get(keys["message_id"])) or text(part.get(keys["artifact_id"]))
    if not site_message:
        raise Unreadable("A message of the thread has no id.", _WHERE + "message_id")
    return Message(
        site_message=site_message,
        direction=Direction.OUT if from_us else Direction.IN,
        sender=capture.scope.account if from_us else buyer,
        recipient=buyer if from_us else "",
        sent_at=fields.from_milliseconds(get(part, keys["sent_at"], int, _WHERE + "sent_at"), _WHERE + "sent_at"),
        body=get(message, keys["body"], str, _WHERE + "body"),
        language=text(message.get(keys["language"])),
        attachments=fields.attachments(part.get(keys["attachments"]), capture.artifacts),
    )
