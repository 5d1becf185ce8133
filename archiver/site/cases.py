"""The case log: what Seller Support and the seller wrote to each other. Endpoints and shapes [C], dates [C]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archiver.model import Artifact, Capture, Direction, Listing, Message, Ref, Source, Thread, Unread
from archiver.site import fields
from archiver.site.fields import Unreadable, get, text
from archiver.site.interface import Link
from archiver.site.sitemap import SiteMap, SourceMap


class Cases:
    """Reads `SearchForCases` and `ViewCase`."""

    def listing(self, capture: Capture, sitemap: SiteMap) -> Listing | Unread:
        site = sitemap.sources[Source.CASES]
        try:
            tree = fields.document(capture.artifacts, site.list_json)
            rows = get(tree, site.keys["rows"], list, "source.cases.keys.rows")
            total = get(tree, site.keys["total"], int, "source.cases.keys.total")
            return Listing(refs=tuple(_ref(row, capture, site) for row in rows), total=total)
        except Unreadable as error:
            return error.unread

    def links(self, artifacts: tuple[Artifact, ...], sitemap: SiteMap) -> tuple[Link, ...]:
        site = sitemap.sources[Source.CASES]
        try:
            contacts = fields.document(artifacts, site.thread_json).get(site.keys["messages"])
        except Unreadable:
            return ()  # the capture is kept without them; `thread` says why it cannot be read
        return tuple(
            link
            for contact in (contacts if isinstance(contacts, list) else ())
            if isinstance(contact, dict)
            for link in fields.attachment_links(contact.get(site.keys["attachments"]))
        )

    def thread(self, capture: Capture, sitemap: SiteMap) -> Thread | Unread:
        site = sitemap.sources[Source.CASES]
        keys = site.keys
        try:
            tree = fields.document(capture.artifacts, site.thread_json)
            meta = get(tree, keys["meta"], dict, "source.cases.keys.meta")
            contacts = get(tree, keys["messages"], list, "source.cases.keys.messages")
            total = tree.get(keys["message_total"])
            if isinstance(total, int) and total != len(contacts):
                return Unread(
                    f"The case has {total} contacts and shows {len(contacts)}.", "source.cases.keys.message_total"
                )
            if not contacts or (total is None and tree.get(keys["more"])):
                return Unread("The case does not show all its contacts.", "source.cases.keys.messages")
            messages = [_message(contact, capture, site) for contact in contacts]
            return Thread(
                scope=capture.scope,
                site_thread=capture.site_thread,
                subject=text(get(meta, keys["title"], str, "source.cases.keys.title")).strip(),
                status=text(meta.get(keys["case_status"])),
                category=text(meta.get(keys["category"])),
                url=capture.url,
                messages=tuple(sorted(messages, key=lambda m: m.sent_at)),
            )
        except Unreadable as error:
            return error.unread


def _ref(row: object, capture: Capture, site: SourceMap) -> Ref:
    if not isinstance(row, dict):
        raise Unreadable("A row of the case log is not an object.", "source.cases.keys.rows")
    site_thread = text(row.get(site.keys["id"]))
    if not site_thread:
        raise Unreadable("A row of the case log has no id.", "source.cases.keys.id")
    created = get(row, site.keys["created"], (int, float), "source.cases.keys.created")
    # All of the row is the stamp: whatever field tells of a new reply (`lastOutboundReply…` [C], not fully known)
    # changes it.
    return Ref(
        scope=capture.scope,
        site_thread=site_thread,
        stamp=fields.stamp(row),
        active_at=fields.from_seconds(created, "source.cases.keys.created"),
    )


def _message(contact: object, capture: Capture, site: SourceMap) -> Message:
    keys = site.keys
    if not isinstance(contact, dict):
        raise Unreadable("A contact of the case is not an object.", "source.cases.keys.messages")
    if contact.get(keys["truncated"]) is True:
        raise Unreadable("A contact of the case is cut short.", "source.cases.keys.truncated")
    from_amazon = get(contact, keys["outbound"], bool, "source.cases.keys.outbound")
    return Message(
        site_message=text(get(contact, keys["message_id"], (str, int), "source.cases.keys.message_id")),
        direction=Direction.IN if from_amazon else Direction.OUT,
        sender=text(contact.get(keys["sender"])),
        sent_at=fields.from_seconds(
            get(contact, keys["sent_at"], (int, float), "source.cases.keys.sent_at"), "source.cases.keys.sent_at"
        ),
        body=_body(contact, keys),
        attachments=fields.attachments(contact.get(keys["attachments"]), capture.artifacts),
    )


def _body(contact: Mapping[str, Any], keys: Mapping[str, str]) -> str:
    """What the contact says. Chats and calls have lines and no message [C]; the shape of a line is [R]."""
    lines = contact.get(keys["lines"])
    if not isinstance(lines, list) or not lines:
        return fields.plain(get(contact, keys["body"], str, "source.cases.keys.body"))
    said: list[str] = []
    for line in lines:
        if not isinstance(line, dict):
            raise Unreadable("A line of a chat is not an object.", "source.cases.keys.lines")
        text = fields.plain(get(line, keys["body"], str, "source.cases.keys.lines"))
        said.append(f"{get(line, keys['sender'], str, 'source.cases.keys.lines')}: {text}")
    return "\n".join(said)
