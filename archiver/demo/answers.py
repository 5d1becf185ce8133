"""The JSON that the pages of Seller Central fetch, as pure functions of (seller, now, window).

Key names, order and number formats are those of the facts ([L] and [C] unless a line says [R], our guess). The same
clock gives the same bytes: no request ids, no wall clock.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta, timezone
from typing import Any

from archiver.demo.seller import (
    MARKETPLACES,
    Artifact,
    BuyerThread,
    Case,
    Contact,
    File,
    Marketplace,
    Notice,
    Seller,
    visible_cases,
    visible_notices,
    visible_threads,
)

Json = dict[str, Any]

BUYER_PAGE = 10  # cases a page: "16 kB ≈ 10 cases" (inferred)
# formattedDate is local and carries no zone [L]; this profile's clock stands in Shanghai.
_LOCAL = timezone(timedelta(hours=8))
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_TOPICS = {
    "Cancel Order": [10301, 10302],
    "Delivery & Tracking": [10101, 10102, 10103],
    "Invoice Request": [10401],
    "Modify Order": [10303],
    "Product Customization": [10501],
    "Product Details Q&A": [10601, 10602],
    "Returns & Replacements": [10201, 10202, 10203],
    "Other - Buyer Question": [10901],
}
_LANGUAGES = {
    "en": "English",
    "de": "German",
    "es": "Spanish",
    "ja": "Japanese",
    "zh": "Chinese (Simplified)",
}


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


# --- case log ---------------------------------------------------------------------------------------------


def search_for_cases(seller: Seller, now: datetime, window: timedelta, store: Marketplace, query: Json) -> Json:
    """`POST SearchForCases`. Only the selected marketplace's cases. creationDate and lastOutboundReply: epoch s."""
    filters = query.get("caseFilters") or {}
    wanted = str(filters.get("searchText") or "").casefold()
    found = [
        (case, contacts)
        for case, contacts in visible_cases(seller, now, window)
        if case.marketplace == store and wanted in f"{case.case_id} {case.title}".casefold()
    ]
    if str(query.get("sortByOrder", "DESC")).upper() == "ASC":
        found.reverse()
    size = max(1, min(int(query.get("searchPageSize") or 10), 50))
    first = max(0, int(query.get("page") or 0)) * size
    rows = [] if query.get("getCountOnly") else [_case_row(*pair) for pair in found[first : first + size]]
    return {"caseSearchResultList": rows, "totalNumberOfResults": len(found)}


def _case_row(case: Case, contacts: tuple[Contact, ...]) -> Json:
    replies = [int(c.sent_at.timestamp()) for c in contacts if c.outbound]
    return {
        "caseId": case.case_id,
        "status": _case_status(case, contacts),
        "shortDescription": case.title,
        "creationDate": int(contacts[0].sent_at.timestamp()),
        "lastOutboundReply": max(replies, default=None),
    }


def _case_status(case: Case, contacts: tuple[Contact, ...]) -> str:
    """PendingAmazonAction, RESOLVED and CLOSED are documented [C]; PendingMerchantAction is [R]."""
    if case.settled and len(contacts) == len(case.contacts):
        return "RESOLVED" if contacts[-1].outbound else "CLOSED"
    return "PendingMerchantAction" if contacts[-1].outbound else "PendingAmazonAction"


def view_case(
    seller: Seller,
    now: datetime,
    window: timedelta,
    store: Marketplace,
    case_id: str,
    page_size: int,
    token: str | None,
) -> Json | None:
    """`GET ViewCase`. Newest contact first [R]; the next page by `currentToken` [R]. Times: float epoch seconds."""
    found = next(
        (
            pair
            for pair in visible_cases(seller, now, window)
            if pair[0].case_id == case_id and pair[0].marketplace == store
        ),
        None,
    )
    if found is None:
        return None
    case, contacts = found
    status = _case_status(case, contacts)
    first, rows = _offset(token), list(reversed(contacts))
    more = first + page_size < len(rows)
    return {
        "appointmentMetadata": None,
        "currentToken": _token(first + page_size) if more else None,
        "liveConversation": None,
        "totalNumberOfContacts": len(contacts),
        "viewCaseMetaData": {
            "canEditCase": status.startswith("Pending"),
            "caseStatus": status,
            "caseSupportType": "Expert",
            "caseTags": None,
            "caseTitle": case.title,
            "ccList": [],
            "creationDate": contacts[0].sent_at.timestamp(),
            "crmType": "CASE",
            "escalateMotivationId": None,
            "escalated": False,
            "primaryEmail": case.email,
            "transfer": False,
        },
        "contactList": [_contact(case, contact) for contact in rows[first : first + page_size]],
    }


def _contact(case: Case, contact: Contact) -> Json:
    """The entries of `attachments` and `messageList` are [R]: only their names are known."""
    lines = [
        {
            "sender": who,
            "outbound": out,
            "message": text,
            "timestamp": contact.sent_at.timestamp() + 20 * place,
        }
        for place, (who, out, text) in enumerate(contact.chat)
    ]
    return {
        "attachments": [
            {
                "attachmentId": file.file_id,
                "attachmentName": file.name,
                "contentType": file.media_type,
                "attachmentSize": len(file.body),
                "attachmentUrl": f"/hill/hillservice/attachments/{file.file_id}?caseId={case.case_id}",
            }
            for file in contact.files
        ]
        or None,
        "channelType": contact.channel,
        "contactId": contact.contact_id,
        "expired": False,
        "hmdContact": False,
        "hmdMetaData": None,
        "message": contact.markup or None,
        "messageList": lines or None,
        "messageTruncated": False,
        "outbound": contact.outbound,
        "parentContact": None,
        "sender": contact.sender,
        "timestamp": contact.sent_at.timestamp(),
    }


# --- buyer-seller messages --------------------------------------------------------------------------------


def buyer_cases(
    seller: Seller, now: datetime, window: timedelta, *, folder: str, ascending: bool, token: str | None
) -> Json:
    """`GET /messaging/api/global/cases`: both marketplaces pooled. The next page is `pageToken=<nextToken>` [R]."""
    found = [pair for pair in visible_threads(seller, now, window) if folder == "ALL" or _folder(*pair) == folder]
    if ascending:
        found.reverse()
    first = _offset(token)
    more = first + BUYER_PAGE < len(found)
    return {
        "cases": [_buyer_case(seller, *pair, detail=False) for pair in found[first : first + BUYER_PAGE]],
        "nextToken": _token(first + BUYER_PAGE) if more else "",
        "previousToken": _token(max(0, first - BUYER_PAGE)) if first else "0",
        "displayLanguage": "English",
    }


def _folder(thread: BuyerThread, artifacts: tuple[Artifact, ...]) -> str:
    if _solved(thread, artifacts):
        return "RESOLVED"
    return "WAITING" if artifacts[-1].from_seller else "ACTION_NEEDED"


def _solved(thread: BuyerThread, artifacts: tuple[Artifact, ...]) -> bool:
    return thread.settled and len(artifacts) == len(thread.artifacts)


def find_buyer_case(
    seller: Seller, now: datetime, window: timedelta, case_id: str
) -> tuple[BuyerThread, tuple[Artifact, ...]] | None:
    return next((pair for pair in visible_threads(seller, now, window) if pair[0].case_id == case_id), None)


def buyer_case(seller: Seller, thread: BuyerThread, artifacts: tuple[Artifact, ...]) -> Json:
    """`GET …/cases/{uuid}?marketplaceId=`."""
    return {"partyCase": _buyer_case(seller, thread, artifacts, detail=True), "nextPageToken": None}


def _buyer_case(seller: Seller, thread: BuyerThread, artifacts: tuple[Artifact, ...], *, detail: bool) -> Json:
    """The case object, every key in the order it is served [L]. Times: epoch ms."""
    pause = timedelta(seconds=2)  # openDate and lastUpdatedDate trail the artifacts by about that [L]
    opened, updated = artifacts[0].sent_at + pause, artifacts[-1].sent_at + pause
    solved = _solved(thread, artifacts)
    replies = [a.message_id for a in artifacts if a.from_seller]
    topics = _TOPICS[thread.topic]
    return {
        "caseId": thread.case_id,
        "topicId": topics[0],
        "classifiedTopicId": topics[0],
        "topicIdSource": "ML_CLASSIFIED",
        "topic": thread.topic,
        "status": "SOLVED" if solved else "OPEN",
        "marketplaceId": thread.marketplace.marketplace_id,
        "marketplaceDisplayName": thread.marketplace.display_name,
        "marketplaceCountryCode": thread.marketplace.country,
        "buyerLop": _LANGUAGES[thread.language],
        "buyerLopTag": f"{thread.language}-{thread.marketplace.country}",
        "orders": [thread.order_id] if thread.order_id else [],
        "lastUpdatedDate": milliseconds(updated),
        "formattedLastUpdatedDate": _date(updated),
        "resolveDate": milliseconds(updated) if solved else None,
        "formattedResolveDate": _date(updated) if solved else None,
        "openDate": milliseconds(opened),
        "closeDate": None,
        "merchantId": seller.account_id,
        "asinIds": [thread.asin],
        "requesterLanguage": None,
        "relatedCases": [],
        "actions": [],
        "actionNeeded": None,
        "unread": None,
        "archived": None,
        "important": None,
        "caseArtifacts": [_artifact(seller, thread, a) for a in artifacts] if detail else None,
        "subject": thread.subject,
        "isBusinessBuyer": False,
        "buyerName": thread.buyer,
        "sellerName": None,
        "buyerProxyEmail": f"{thread.case_id[:8]}x7q+{thread.case_id}@marketplace.amazon.{thread.marketplace.tld}"
        if detail
        else "",
        "slaLabel": None,
        "isOverSla": False,
        "suggestedReply": None,
        "latestPreferredResolution": None,
        "latestWhereIsMyStuffStatus": None,
        "buyerPreferredResolution": None,
        "reportedUnresolvedCount": 0,
        "caseMetadata": None,
        "latestCedrPollId": None,
        "latestCedrSurveyResponse": None,
        "latestCedrResponseDate": None,
        "threadId": thread.thread_id,
        "latestSellerMessageId": replies[-1] if replies else None,
        "mostRecentBuyerSellerOrderId": thread.order_id,
        "suppressCaseHistoryDisplay": False,
        "suppressBuyerAttachmentsDisplay": False,
        "suppressSellerAttachmentsDisplay": False,
        "buyerGuidelinesDisclaimerDisplay": False,
        "sellerGuidelinesDisclaimerDisplay": False,
        "buyerActive": True,
        "prrsurveyResponse": None,
        "parties": [
            {"partyId": f"A{thread.case_id[:8].upper()}BUY", "partyRole": "BUYER", "caseRole": "REQUESTER"},
            {"partyId": seller.partner_id, "partyRole": "SELLER", "caseRole": "REQUESTED"},
        ],
        "prrSurveyResponse": None,
    }


def _artifact(seller: Seller, thread: BuyerThread, artifact: Artifact) -> Json:
    """The entries of `attachments` are [R]: no non-empty one was ever captured."""
    ours = artifact.from_seller
    return {
        "caseId": thread.case_id,
        "caseArtifactId": artifact.artifact_id,
        "artifactType": "MESSAGE",
        "creator": {
            "partyId": seller.account_id if ours else f"A{thread.case_id[:8].upper()}BUY",
            "partyRole": "SELLER" if ours else "BUYER",
            "caseRole": "REQUESTED" if ours else "REQUESTER",
        },
        "createdDate": milliseconds(artifact.sent_at),
        "formattedDate": _date_time(artifact.sent_at),
        "attachments": [_attachment(file) for file in artifact.files],
        "draftAttachments": None,
        "message": {
            "messageId": artifact.message_id,
            "detectedLanguage": thread.language,
            "preContext": None,
            "messageBody": artifact.text,
            "postContext": None,
            "status": "SENT",
            "statusExplanation": None,
            "surveyPollId": None,
            "surveyType": None,
            "surveyCritical": False,
            "terminal": False,
        },
        "isRequestedPartySender": ours,
        "topicId": _TOPICS[thread.topic][0],
    }


def _attachment(file: File) -> Json:
    return {
        "attachmentId": file.file_id,
        "fileName": file.name,
        "contentType": file.media_type,
        "size": len(file.body),
        "url": f"/messaging/api/global/attachments/{file.file_id}",
    }


def order_context(thread: BuyerThread) -> Json:
    sign = "£" if thread.marketplace.code == "UK" else "€"
    return {
        "orderContextList": [
            {
                "productContextFields": [
                    {
                        "productName": thread.product,
                        "productUrl": f"https://www.amazon.{thread.marketplace.tld}/dp/{thread.asin}",
                        "imageUrl": None,
                        "orderTotal": f"{sign}{thread.price:.2f}",
                        "quantity": 1,
                        "asinId": thread.asin,
                    }
                ],
                "orderContextFields": [{"type": "ORDER_ID", "textValue": thread.order_id}] if thread.order_id else [],
                "orderContextButtons": None,
                "a2zClaimsInfo": None,
                "isMFNOrder": None,
                "preClaimA2ZHint": None,
            }
        ]
    }


def response_templates(thread: BuyerThread) -> Json:
    return {"responseTemplates": [], "buyerLop": _LANGUAGES[thread.language]}


def metric(seller: Seller, now: datetime, window: timedelta, name: str, days_back: int) -> Json:
    """`GET /messaging/overview/api/metric/{name}`. The value is a string [L]."""
    found = visible_threads(seller, now, window)
    if name == "contactsResolved":
        since = now - timedelta(days=days_back)
        count = sum(_solved(*pair) and pair[1][-1].sent_at >= since for pair in found)
    elif name in ("contactsResponseNeeded", "contactsRequireAttention"):
        count = sum(_folder(*pair) == "ACTION_NEEDED" for pair in found)
    else:
        count = 0
    return {"metricName": name, "value": str(count)}


def topics() -> list[Json]:
    return [{"categoryName": name, "topicValues": values} for name, values in _TOPICS.items()]


def messaging_marketplaces(seller: Seller) -> Json:
    return {
        "marketplaces": [
            {"marketplaceId": m.marketplace_id, "displayName": m.display_name, "countryCode": m.country}
            for m in MARKETPLACES
        ],
        "partnerAccountId": seller.account_id,
    }


def partner_accounts(seller: Seller) -> Json:
    return {
        "accountStatus": "AUTHORITATIVE",
        "showBannerWhenAuthoritative": False,
        "partnerAccountId": seller.account_id,
        "realtimeActiveStatus": False,
    }


# --- performance notifications ----------------------------------------------------------------------------


def notifications(
    seller: Seller,
    now: datetime,
    window: timedelta,
    store: Marketplace,
    *,
    size: int,
    number: int,
    newest: bool,
) -> Json:
    """`GET /performance/api/notification`; pageNumber from 1. `totalCount` is [R], for the pager."""
    found = [notice for notice in visible_notices(seller, now, window) if notice.marketplace == store]
    if not newest:
        found.reverse()
    first = (max(1, number) - 1) * size
    return {
        "list": [
            {"id": n.notice_id, "content": {"subject": n.subject, "created": milliseconds(n.created)}}
            for n in found[first : first + size]
        ],
        "totalCount": len(found),
    }


def find_notice(seller: Seller, now: datetime, window: timedelta, store: Marketplace, notice_id: str) -> Notice | None:
    return next(
        (n for n in visible_notices(seller, now, window) if n.notice_id == notice_id and n.marketplace == store),
        None,
    )


# --- the frame around every page --------------------------------------------------------------------------


def account_switcher(seller: Seller, store: Marketplace | None) -> Json:
    """`GET /account-switcher/global-and-regional-account/merchantMarketplace?` [L]."""
    delegation = base64.b64encode(f'{{"partnerAccountId":"{seller.partner_id}"}}'.encode()).decode()
    return {
        "globalAccount": {
            "label": seller.label,
            "id": seller.partner_id,
            "delegationContext": None,
            "delegationContextWithTargetPartnerAccount": delegation,
            "selected": True,
            "searchIds": None,
        },
        "parentGlobalAccount": None,
        "regionalAccount": None
        if store is None
        else {
            "ids": {"mons_sel_mkid": store.mkid, "mons_sel_dir_mcid": store.mcid},
            "label": store.name,
            "typeLabel": None,
            "globalAccountId": seller.partner_id,
            "domain": None,
            "selected": True,
            "searchIds": None,
        },
    }


def switchable_accounts(seller: Seller, store: Marketplace | None) -> Json:
    """What the switcher page draws its rows from. Its real endpoint is not published [R]."""
    return {
        "accounts": [
            {
                "label": seller.label,
                "id": seller.partner_id,
                "pending": False,
                "regional": [
                    {
                        "label": m.name,
                        "ids": {"mons_sel_mkid": m.mkid, "mons_sel_dir_mcid": m.mcid},
                        "selected": m == store,
                    }
                    for m in MARKETPLACES
                ],
            },
            {
                "label": "Abendstern Outlet (pending registration)",
                "id": "amzn1.pa.o.A0PENDING0EXAMPLE",
                "pending": True,
                "regional": [],
            },
        ]
    }


def marketplace_switcher(seller: Seller, store: Marketplace) -> Json:
    """`GET /meld/mons-api/GetMarketplaceSwitcher`; its keys are [R]."""
    return {
        "merchantName": seller.label,
        "marketplaces": [
            {"marketplaceId": m.marketplace_id, "label": m.name, "selected": m == store} for m in MARKETPLACES
        ],
    }


# --- small things -----------------------------------------------------------------------------------------


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode()


def _offset(token: str | None) -> int:
    """0 for no token, "0" and anything we did not write."""
    if not token:
        return 0
    try:
        text = base64.urlsafe_b64decode(token).decode()
        return int(text.removeprefix("offset:"))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return 0


def _date(moment: datetime) -> str:
    local = moment.astimezone(_LOCAL)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


def _date_time(moment: datetime) -> str:
    local = moment.astimezone(_LOCAL)
    return f"{_date(moment)} {(local.hour - 1) % 12 + 1}:{local.minute:02d} {'am' if local.hour < 12 else 'pm'}"
