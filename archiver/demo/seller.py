"""A believable seller and everything that was written to and by it: values, made from a seed.

No clock and no HTTP: what is *visible* at a given moment is decided here as a function of (seller, now, window), how
it is *served* is decided elsewhere. All times are aware, UTC, whole milliseconds; ids are text as the site has them.
"""

from __future__ import annotations

import base64
import hashlib
import html
import random
import re
import tomllib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from archiver.demo import documents

Direction = Literal["in", "out"]
SourceName = Literal["cases", "buyer-messages", "performance-notifications"]


@dataclass(frozen=True)
class Marketplace:
    """One store of the unified European account. The marketplaceIds are real [C]; the merchant ids are made up."""

    code: str  # as a person writes it in a configuration: "UK"
    country: str  # ISO 3166, as the site's JSON has it: "GB"
    name: str  # "United Kingdom"
    marketplace_id: str
    display_name: str  # "Amazon.co.uk"
    tld: str
    merchant_id: str

    @property
    def mkid(self) -> str:
        return f"amzn1.mp.o.{self.marketplace_id}"

    @property
    def mcid(self) -> str:
        return f"amzn1.merchant.d.{self.merchant_id}"


UK = Marketplace(
    "UK", "GB", "United Kingdom", "A1F83G8C2ARO7P", "Amazon.co.uk", "co.uk", "ADMORGENSTERNEXAMPLEUK4Q7ZLX"
)
DE = Marketplace("DE", "DE", "Germany", "A1PA6795UKMFR9", "Amazon.de", "de", "ADMORGENSTERNEXAMPLEDE9K2WNB")
MARKETPLACES = (UK, DE)


@dataclass(frozen=True)
class File:
    """An attachment. `file_id` is the site's id."""

    file_id: str
    name: str
    media_type: str
    body: bytes


@dataclass(frozen=True)
class Contact:
    """One entry of a Seller Support case. `outbound`: from Amazon to the seller [C]. `chat`: (who, outbound, text)."""

    contact_id: str
    channel: str  # EMAIL | CHAT
    outbound: bool
    sender: str
    sent_at: datetime
    text: str  # what a person sees
    markup: str  # what the JSON serves: HTML, or plain text with its entities
    chat: tuple[tuple[str, bool, str], ...] = ()
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class Case:
    case_id: str  # 10-11 digits
    marketplace: Marketplace
    title: str
    contacts: tuple[Contact, ...]  # oldest first
    settled: bool  # closed, once its last contact is visible
    email: str
    order_id: str | None
    asins: tuple[str, ...]


@dataclass(frozen=True)
class Artifact:
    """One message of a buyer thread. `from_seller` is the site's isRequestedPartySender [L]."""

    artifact_id: str
    message_id: str  # 19 digits
    from_seller: bool
    sent_at: datetime
    text: str
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class BuyerThread:
    case_id: str  # uuid
    thread_id: int  # 19 digits, above 2^53 [L]
    marketplace: Marketplace
    topic: str
    language: str
    subject: str  # may end with a space [L]
    buyer: str
    artifacts: tuple[Artifact, ...]  # oldest first
    settled: bool
    order_id: str | None  # None: a question before the purchase
    asin: str
    product: str
    price: float


@dataclass(frozen=True)
class Notice:
    notice_id: str
    marketplace: Marketplace
    subject: str
    created: datetime
    text: str
    markup: str
    order_id: str | None
    asins: tuple[str, ...]


@dataclass(frozen=True)
class Seller:
    email: str
    password: str
    totp_secret: str  # base32, RFC 4648, without padding
    label: str
    partner_id: str  # amzn1.pa.o.…
    account_id: str  # A…
    cases: tuple[Case, ...]
    threads: tuple[BuyerThread, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class TruthMessage:
    """One message as an archive that missed nothing would have it.

    `subject` is without the trailing blank that some served subjects have; `body` is what a person sees in the page;
    `attachments` are (name, media type, size in bytes, sha256 in hex).
    """

    marketplace: str
    source: SourceName
    site_thread: str
    site_message: str
    subject: str
    sender: str
    direction: Direction
    sent_at: datetime
    body: str
    order_id: str | None
    asins: tuple[str, ...]
    attachments: tuple[tuple[str, str, int, str], ...]


# --- what is visible --------------------------------------------------------------------------------------


def visible_cases(seller: Seller, now: datetime, window: timedelta) -> list[tuple[Case, tuple[Contact, ...]]]:
    """Newest case first, each with the contacts written by `now`; a case whose last contact is too old is gone."""
    seen = [(case, tuple(c for c in case.contacts if c.sent_at <= now)) for case in seller.cases]
    kept = [(case, contacts) for case, contacts in seen if contacts and contacts[-1].sent_at >= now - window]
    return sorted(kept, key=lambda pair: (pair[1][0].sent_at, pair[0].case_id), reverse=True)


def visible_threads(seller: Seller, now: datetime, window: timedelta) -> list[tuple[BuyerThread, tuple[Artifact, ...]]]:
    """The thread with the newest message first."""
    seen = [(thread, tuple(a for a in thread.artifacts if a.sent_at <= now)) for thread in seller.threads]
    kept = [(thread, artifacts) for thread, artifacts in seen if artifacts and artifacts[-1].sent_at >= now - window]
    return sorted(kept, key=lambda pair: (pair[1][-1].sent_at, pair[0].case_id), reverse=True)


def visible_notices(seller: Seller, now: datetime, window: timedelta) -> list[Notice]:
    """Newest first."""
    kept = [notice for notice in seller.notices if now - window <= notice.created <= now]
    return sorted(kept, key=lambda notice: (notice.created, notice.notice_id), reverse=True)


def truth(seller: Seller, now: datetime, window: timedelta) -> list[TruthMessage]:
    """Every message visible at `now`, sources one after the other, oldest message of a thread first."""
    found: list[TruthMessage] = []
    for case, contacts in visible_cases(seller, now, window):
        found += [
            TruthMessage(
                case.marketplace.code,
                "cases",
                case.case_id,
                c.contact_id,
                case.title.strip(),
                c.sender,
                "in" if c.outbound else "out",
                c.sent_at,
                c.text,
                case.order_id,
                case.asins,
                _digests(c.files),
            )
            for c in contacts
        ]
    for thread, artifacts in visible_threads(seller, now, window):
        found += [
            TruthMessage(
                thread.marketplace.code,
                "buyer-messages",
                thread.case_id,
                a.message_id,
                thread.subject.strip(),
                seller.label if a.from_seller else thread.buyer,
                "out" if a.from_seller else "in",
                a.sent_at,
                a.text,
                thread.order_id,
                (thread.asin,),
                _digests(a.files),
            )
            for a in artifacts
        ]
    for notice in visible_notices(seller, now, window):
        found.append(
            TruthMessage(
                notice.marketplace.code,
                "performance-notifications",
                notice.notice_id,
                notice.notice_id,
                notice.subject.strip(),
                "Amazon",
                "in",
                notice.created,
                notice.text,
                notice.order_id,
                notice.asins,
                (),
            )
        )
    return found


def _digests(files: Iterable[File]) -> tuple[tuple[str, str, int, str], ...]:
    return tuple((f.name, f.media_type, len(f.body), hashlib.sha256(f.body).hexdigest()) for f in files)


# --- how it is made ---------------------------------------------------------------------------------------

_CONTENT = Path(__file__).with_name("content")
_CARRIERS = {"UK": ("Royal Mail", "DPD", "Evri", "Parcelforce"), "DE": ("DHL", "Hermes", "DPD", "GLS")}
_CITIES = {
    "UK": ("Leeds", "Bristol", "Edinburgh", "Swindon", "Norwich"),
    "DE": ("Köln", "Nürnberg", "Gießen", "Dortmund", "Görlitz"),
}
_MONTHS = {
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    "de": [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    "es": [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
}
# Buyers write in the language of the store most of the time, and in their own the rest.
_BUYER_LANGUAGES = {
    "UK": ("en",) * 11 + ("es", "es", "ja", "ja", "zh", "zh", "de"),
    "DE": ("de",) * 11 + ("en", "en", "es", "es", "ja", "zh", "zh"),
}
# The staff sit in Shanghai; Seller Support answers in the language it was asked in.
_CASE_LANGUAGES = {
    "UK": ("en",) * 6 + ("zh",) * 6 + ("ja", "es"),
    "DE": ("zh",) * 5 + ("en",) * 5 + ("de",) * 2 + ("es",),
}
_NOTICE_LANGUAGES = {"UK": ("en", "en", "en", "zh"), "DE": ("de", "de", "de", "zh")}
_LONG_THREADS = 4  # buyer threads of 25 messages and more
_LONG_CASES = 2


def make_seller(
    *,
    seed: int = 1,
    now: datetime,
    until: datetime | None = None,
    token: str | None = None,
    cases: int = 60,
    threads: int = 150,
    notifications: int = 25,
    days: int = 120,
) -> Seller:
    """A seller with `days` of history before `now`. Items are spread evenly from then to `until` (default: `now`).

    The same arguments give the same seller. `token` ends every body: a canary that must appear nowhere it should not.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    end = until or now
    if end < now:
        raise ValueError("until must not be before now")
    return _Writer(random.Random(seed), now.astimezone(UTC), end.astimezone(UTC), days, token).seller(
        cases, threads, notifications
    )


def to_markup(text: str) -> str:
    """`text` as the HTML that Seller Support's tools send; its innerText in a page is `text` again."""

    def paragraph(part: str) -> str:
        line = html.escape(part, quote=False).replace("\n", "<br>")
        line = re.sub(r"(https://\S+)", r'<a href="\1" rel="noreferrer">\1</a>', line)
        return "<p>" + re.sub(r"\b(B0[A-Z0-9]{8})\b", r"<b>\1</b>", line) + "</p>"

    return "".join(paragraph(part) for part in text.split("\n\n"))


class _Writer:
    """Draws everything from one generator, in a fixed order."""

    def __init__(self, rng: random.Random, now: datetime, end: datetime, days: int, token: str | None) -> None:
        self.rng, self.end, self.token = rng, end, token
        self.start = now - timedelta(days=days)
        self.people = _load("people")
        self.support = _load("cases")
        self.buyers = _load("buyers")
        self.notices = _load("notices")
        self.used: set[str] = set()
        self.turns: dict[tuple[str, str], int] = {}

    def seller(self, cases: int, threads: int, notices: int) -> Seller:
        secret = base64.b32encode(self.rng.randbytes(20)).decode().rstrip("=")
        email = "operations@morgenstern.example"
        return Seller(
            email=email,
            password="Zwölf-Boxkämpfer-" + self.digits(4),
            totp_secret=secret,
            label="Morgenstern Trading Ltd",
            partner_id="amzn1.pa.o." + "A" + self.letters(13),
            account_id="A" + self.letters(13),
            cases=tuple(self.case(n, started, email) for n, started in enumerate(self.moments(cases))),
            threads=tuple(self.thread(n, started) for n, started in enumerate(self.moments(threads))),
            notices=tuple(self.notice(n, created) for n, created in enumerate(self.moments(notices))),
        )

    # -- small things --

    def digits(self, count: int) -> str:
        return self.fresh(lambda: str(self.rng.randint(1, 9)) + "".join(self.rng.choices("0123456789", k=count - 1)))

    def letters(self, count: int) -> str:
        return self.fresh(lambda: "".join(self.rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=count)))

    def fresh(self, draw: Any) -> str:
        while (value := str(draw())) in self.used:
            pass
        self.used.add(value)
        return value

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def moments(self, count: int) -> list[datetime]:
        """`count` moments spread over the whole span: one in each equal part, so that no week is empty."""
        part = (self.end - self.start) / max(count, 1)
        return [_whole(self.start + part * (n + self.rng.uniform(0.02, 0.98))) for n in range(count)]

    def later(self, moment: datetime, low: float, high: float) -> datetime:
        return _whole(moment + timedelta(hours=self.rng.uniform(low, high)))

    def next_of(self, kind: str, language: str, pool: list[Any]) -> Any:
        """The pool in turn, so that every dialog is told before one is told again."""
        turn = self.turns.get((kind, language), 0)
        self.turns[kind, language] = turn + 1
        return pool[turn % len(pool)]

    def slots(self, store: Marketplace, language: str, moment: datetime) -> dict[str, str]:
        rng = self.rng
        product = rng.choice(self.people["product"])
        amount = f"{product['price'] * rng.choice((0.3, 1, 1, 2, 7)):.2f}"
        first, second = str(rng.randint(100, 999)), self.digits(7)
        return {
            "product": product[language],
            "asin": product["asin"],
            "price": str(product["price"]),
            "order": f"{first}-{second}-{self.digits(7)}",
            "shipment": "FBA" + self.letters(9),
            "tracking": ("JJD" + self.digits(14))
            if rng.random() < 0.5
            else self.letters(2) + self.digits(9) + store.country,
            "carrier": rng.choice(_CARRIERS[store.code]),
            "city": rng.choice(_CITIES[store.code]),
            "date": _day(moment - timedelta(days=rng.randint(4, 9)), language),
            "later": _day(moment + timedelta(days=rng.randint(3, 8)), language),
            "amount": amount if language == "en" else amount.replace(".", ",") if language in ("de", "es") else amount,
            "count": str(rng.randint(3, 48)),
            "case": self.digits(7),
            "store": store.display_name,
        }

    def body(self, text: str) -> str:
        return f"{text}\n\n[{self.token}]" if self.token else text

    def file(self, kind: str, slots: dict[str, str]) -> File:
        number = self.digits(9)
        name, media, body = {
            "invoice": (
                f"Rechnung_{slots['order']}_Größe.pdf",
                documents.PDF,
                documents.pdf(
                    "Rechnung / Invoice",
                    (
                        f"Morgenstern Trading Ltd - No. {number}",
                        f"Order {slots['order']}",
                        f"{slots['asin']}  x 1   {slots['amount']}",
                    ),
                ),
            ),
            "proof": (
                f"签收证明_{slots['shipment']}.pdf",
                documents.PDF,
                documents.pdf(
                    "Proof of delivery",
                    (
                        f"{slots['carrier']} {slots['tracking']}",
                        f"Shipment {slots['shipment']}",
                        f"Document {number}",
                    ),
                ),
            ),
            "label": (
                f"return label {number}.pdf",
                documents.PDF,
                documents.pdf(
                    "Return label",
                    (f"{slots['carrier']} {slots['tracking']}", slots["city"], f"No. {number}"),
                ),
            ),
            "manual": (
                f"Anleitung_Schraubenset_{number[:4]}.pdf",
                documents.PDF,
                documents.pdf("Montageanleitung", ("Größe M, 8 Schrauben", slots["asin"], f"Ausgabe {number}")),
            ),
            "photo": (f"IMG_{number[:4]} (1).png", documents.PNG, documents.png(int(number))),
            "screenshot": (f"截图{number[:3]}.png", documents.PNG, documents.png(int(number), 320, 180)),
            "packing": (
                f"装箱单_{slots['shipment']}.xlsx",
                documents.XLSX,
                documents.xlsx(
                    "装箱单",
                    (
                        ("ASIN", "SKU", "发货数量", "箱号"),
                        (slots["asin"], f"MT-{number[:5]}", int(slots["count"]) + 100, "U001"),
                        ("B08VWR6T1K", "MT-GRÜN-02", 48, "U002"),
                    ),
                ),
            ),
        }[kind]
        return File(self.uuid(), name, media, body)

    # -- the three kinds of conversation --

    def case(self, number: int, started: datetime, email: str) -> Case:
        store = UK if number % 5 < 3 else DE
        language = self.rng.choice(_CASE_LANGUAGES[store.code])
        chats = [chat for chat in self.support["chat"] if chat["lang"] == language]
        chatty = number % 17 == 6 and bool(chats)
        kind = "chat" if chatty else "dialog"
        dialog = self.next_of(
            kind, language, chats if chatty else [d for d in self.support["dialog"] if d["lang"] == language]
        )
        slots = self.slots(store, language, started)
        people = self.support["people"]
        slots["staff"] = self.rng.choice(people["staff"])
        slots["rep"] = self.rng.choice(people[f"rep_{language}"])
        contacts: list[Contact] = []
        whole = True  # not cut short: only a conversation that was finished can be closed
        if chatty:
            lines = tuple((*_speaker(line.format_map(slots)),) for line in dialog["lines"])
            if self.token:
                lines = (*lines, (slots["rep"], True, f"[{self.token}]"))
            seen = "\n".join(f"{who}: {text}" for who, _, text in lines)
            contacts.append(Contact(f"ekko:eu-west-1:{self.uuid()}", "CHAT", True, "Amazon", started, seen, "", lines))
        else:
            turns = list(dialog["turns"])
            more = self.support["followups"].get(language)
            if more and number % (max(1, 60 // _LONG_CASES)) == 9:
                # The dispute that never ends: this many contacts do not fit on one screen.
                middle = [
                    text
                    for n in range(11)
                    for text in (
                        more["staff"][n % len(more["staff"])],
                        ">" + more["amazon"][n % len(more["amazon"])],
                    )
                ]
                turns = turns[:-1] + middle + turns[-1:]
            elif self.rng.random() < 0.25 and len(turns) > 2:
                turns, whole = turns[: self.rng.randint(1, len(turns) - 1)], False
            moment = started
            for place, turn in enumerate(turns):
                slots |= {"later": _day(moment + timedelta(days=self.rng.randint(3, 8)), language)}
                outbound = turn.startswith(">")
                text = self.body(turn.removeprefix(">").format_map(slots))
                # Staff type plain text, Amazon's tools send HTML more often than not; entities appear in both.
                rich = outbound and self.rng.random() < 0.7
                contacts.append(
                    Contact(
                        f"ekko:eu-west-1:{self.uuid()}",
                        "EMAIL",
                        outbound,
                        "Amazon" if outbound else email,
                        moment,
                        text,
                        to_markup(text) if rich else html.escape(text, quote=False),
                        files=() if outbound else self.case_files(place, dialog, slots),
                    )
                )
                moment = self.later(moment, 3, 60)
        whole = whole and contacts[-1].sent_at <= self.end
        contacts = [c for c in contacts if c.sent_at <= self.end]
        subject = dialog["subject"].format_map(slots)
        words = subject + "\n" + "\n".join(c.text for c in contacts)
        return Case(
            case_id=self.digits(self.rng.choice((10, 11))),
            marketplace=store,
            title=subject,
            contacts=tuple(contacts),
            settled=whole and self.rng.random() < 0.85,
            email=email,
            order_id=slots["order"] if slots["order"] in words else None,
            asins=(slots["asin"],) if slots["asin"] in words else (),
        )

    def case_files(self, place: int, dialog: dict[str, Any], slots: dict[str, str]) -> tuple[File, ...]:
        if place == 0 and "{shipment}" in dialog["subject"] + dialog["turns"][0] and self.rng.random() < 0.8:
            return (self.file("packing", slots), self.file("proof", slots))
        if place == 0 and self.rng.random() < 0.4:
            return (self.file("proof", slots),)
        if place > 0 and self.rng.random() < 0.15:
            return (self.file("screenshot", slots),)
        return ()

    def thread(self, number: int, started: datetime) -> BuyerThread:
        store = UK if number % 7 < 4 else DE
        language = self.rng.choice(_BUYER_LANGUAGES[store.code])
        dialog = self.next_of("buyer", language, [d for d in self.buyers["dialog"] if d["lang"] == language])
        slots = self.slots(store, language, started)
        slots["buyer"] = self.rng.choice(self.people["buyers"][language])
        slots["agent"] = self.rng.choice(self.people["agents"][language])
        turns = list(dialog["turns"])
        more = self.buyers["followups"][language]
        if number % max(1, 150 // _LONG_THREADS) == 20:
            middle = [
                text
                for n in range(13)
                for text in (
                    more["buyer"][n % len(more["buyer"])],
                    ">" + more["seller"][n % len(more["seller"])],
                )
            ]
            turns = turns[:2] + middle + turns[2:]
        elif self.rng.random() < 0.25:
            turns += [self.rng.choice(more["buyer"]), ">" + self.rng.choice(more["seller"])]
        if self.rng.random() < 0.2:
            turns = turns[: self.rng.randint(1, len(turns))]
        moment, artifacts = started, []
        prepurchase = bool(dialog.get("prepurchase"))
        for turn in turns:
            slots |= {"later": _day(moment + timedelta(days=self.rng.randint(2, 6)), language)}
            from_seller = turn.startswith(">")
            text = self.body(turn.removeprefix(">").format_map(slots))
            artifacts.append(
                Artifact(
                    self.uuid(),
                    self.digits(19),
                    from_seller,
                    moment,
                    text,
                    self.buyer_files(turn, from_seller, dialog["topic"], slots),
                )
            )
            moment = self.later(moment, 0.4, 30)
        return BuyerThread(
            case_id=self.uuid(),
            thread_id=int(self.digits(19)),
            marketplace=store,
            topic=dialog["topic"],
            language=language,
            subject=dialog["subject"].format_map(slots),
            buyer=slots["buyer"],
            artifacts=tuple(a for a in artifacts if a.sent_at <= self.end),
            settled=self.rng.random() < 0.85 and artifacts[-1].sent_at <= self.end,
            order_id=None if prepurchase else slots["order"],
            asin=slots["asin"],
            product=slots["product"],
            price=float(slots["price"]),
        )

    def buyer_files(self, text: str, from_seller: bool, topic: str, slots: dict[str, str]) -> tuple[File, ...]:
        """Who speaks of a picture or an enclosure has attached one."""
        if not from_seller and re.search(r"\b[Pp]hoto|\b[Ff]otos?\b|照片|写真", text):
            return tuple(self.file("photo", slots) for _ in range(self.rng.choice((1, 1, 2))))
        if from_seller and topic == "Invoice Request":
            return (self.file("invoice", slots),)
        if from_seller and "als PDF" in text:
            return (self.file("manual", slots),)
        if from_seller and "Rücksendeetikett" in text:
            return (self.file("label", slots),)
        return ()

    def notice(self, number: int, created: datetime) -> Notice:
        store = UK if number % 2 == 0 else DE
        language = self.rng.choice(_NOTICE_LANGUAGES[store.code])
        notice = self.next_of("notice", language, [n for n in self.notices["notice"] if n["lang"] == language])
        slots = self.slots(store, language, created)
        text = self.body(notice["body"].format_map(slots))
        subject = notice["subject"].format_map(slots)
        words = subject + text
        return Notice(
            notice_id=self.digits(9),
            marketplace=store,
            subject=subject,
            created=created,
            text=text,
            markup=to_markup(text),
            order_id=slots["order"] if slots["order"] in words else None,
            asins=(slots["asin"],) if slots["asin"] in words else (),
        )


def _speaker(line: str) -> tuple[str, bool, str]:
    who, _, text = line.partition("|")
    return who.removeprefix(">"), who.startswith(">"), text


def _whole(moment: datetime) -> datetime:
    """To whole milliseconds: the finest grain the site's JSON has."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _day(moment: datetime, language: str) -> str:
    match language:
        case "en":
            return f"{moment.day} {_MONTHS['en'][moment.month - 1]}"
        case "de":
            return f"{moment.day}. {_MONTHS['de'][moment.month - 1]}"
        case "es":
            return f"{moment.day} de {_MONTHS['es'][moment.month - 1]}"
        case _:
            return f"{moment.month}月{moment.day}日"


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads((_CONTENT / f"{name}.toml").read_text(encoding="utf-8"))
