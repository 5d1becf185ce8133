"""Which requests may leave: default deny, no spelling of a forbidden path gets by, no host is another than it seems."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.portal.guard import Rules
from archiver.site.sitemap import GuardMap, ListingPost, load, trusted_origins

SITE = "https://sellercentral.amazon.de"
RETAIL = "https://www.amazon.de"
LISTING = "/hill/hillservice/mons-api/SearchForCases"
MAP = GuardMap(
    asset_hosts=("m.media-amazon.com", "*.token.awswaf.com"),
    sign_in_posts=("/ap/signin", "/ax/claim"),
    person_posts=("/ap/cvf/verify",),
    forbidden_gets=("/gp/sign-out.html", "/messaging/no-response-needed", "/Messaging/Contact/"),
    listing_posts=(ListingPost(LISTING, frozenset({"page", "searchPageSize", "caseFilters"})),),
)
RULES = Rules(SITE, frozenset({SITE, RETAIL}), MAP)
CHANGES_STATE = "a GET that changes state"
LEADS_UP = "an address that leads back up"


def objection(method: str, url: str, body: str | None = None, *, signing_in: bool = False) -> str | None:
    return RULES.objection(method, url, body, signing_in=signing_in)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "url",
    [
        f"{SITE}/",
        f"{SITE}",
        f"{SITE}/home?x=/gp/sign-out.html#/gp/sign-out.html",
        f"{SITE}/messaging/api/global/cases?filter=ALL",
        f"{SITE}/gp/sign-out.html.gif",
        f"{SITE}/gp/sign-outing",
        f"{SITE}/files/R%C3%BCckgabe%20100%25.pdf;v=1",
        f"{SITE}/a/.../b",
        f"{RETAIL}/ap/signin",
        "https://m.media-amazon.com/images/a.png?x=1",
        "https://abc.def.token.awswaf.com/challenge.js",
    ],
)
def test_a_plain_get_may_leave(method: str, url: str) -> None:
    assert objection(method, url) is None


@pytest.mark.parametrize(
    "path",
    [
        "/gp/sign-out.html",
        "/gp/sign-out.html?openid=1",
        "/gp/sign-out.html#home",
        "/gp/sign-out.html/",
        "/gp/sign-out.html/more",
        "/GP/Sign-Out.HTML",
        "/gp/sign%2Dout.html",
        "/gp%2fsign-out.html",
        "/%67%70/sign-out.html",
        "/gp/%2573ign-out.html",
        "/gp/%252573ign-out.html",
        "//gp/sign-out.html",
        "/gp///sign-out.html",
        "/./gp/./sign-out.html",
        "/gp/%2e/sign-out.html",
        "/gp/sign-out.html;jsessionid=1",
        "/gp;a=b/sign-out.html",
        "/gp/;/sign-out.html",
        "/gp/.;x/sign-out.html",
        "/gp/sign-out.html%3Bx",
        "/gp\\sign-out.html",
        "/gp%5Csign-out.html",
        "/gp/sign-out.html%20",
        "/gp/sign-out.html%00",
        "/gp/sign-out.html%0a",
        "/gp/sign-out.html\t",
        "/gp/ſign-out.html",
        "/messaging/no-response-needed?t=1&m=2",
        "/messaging/contact",
        "/MESSAGING/CONTACT?orderID=1",
    ],
)
@pytest.mark.parametrize("signing_in", [False, True])
def test_a_get_that_changes_state_leaves_in_no_spelling(path: str, signing_in: bool) -> None:
    assert objection("GET", SITE + path, signing_in=signing_in) == CHANGES_STATE
    assert objection("HEAD", RETAIL + path, signing_in=signing_in) == CHANGES_STATE


@pytest.mark.parametrize(
    "path",
    [
        "/home/../gp/sign-out.html",
        "/home/%2e%2e/gp/sign-out.html",
        "/home/.%2E/gp/sign-out.html",
        "/home/..%2fgp/sign-out.html",
        "/home/%252e%252e/gp/sign-out.html",
        "/home/..;/gp/sign-out.html",
        "/home\\..\\gp\\sign-out.html",
        "/home/%5c..%5cgp/sign-out.html",
        "/gp/sign-out.html/..",
        "/..",
    ],
)
def test_an_address_that_leads_back_up_does_not_leave(path: str) -> None:
    assert objection("GET", SITE + path) == LEADS_UP


def test_a_path_that_is_encoded_without_end_is_answered_at_once() -> None:
    path = "/%" + "25" * 500_000 + "67p"

    assert objection("GET", SITE + path) is None


@given(st.data())
def test_no_mixture_of_spellings_of_a_forbidden_path_leaves(data: st.DataObject) -> None:
    def spelled(letter: str) -> str:
        forms = [letter, letter.upper(), f"%{ord(letter):02x}", f"%{ord(letter):02X}", f"%25{ord(letter):02x}"]
        return data.draw(st.sampled_from(forms)) + data.draw(st.sampled_from(["", "", "", "%00", "%09"]))

    segments = ["".join(map(spelled, segment)) for segment in ("gp", "sign-out.html")]
    between = st.lists(st.sampled_from(["/", "%2f", "\\", "%5C", "/./", "/;a=b/", "/%2e/"]), min_size=1, max_size=3)
    parameter = st.sampled_from(["", ";x", "%3bx=1"])
    path = "/" + "".join("".join(data.draw(between)) + segment + data.draw(parameter) for segment in segments)

    assert objection("GET", SITE + path) == CHANGES_STATE


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.com/",
        "http://sellercentral.amazon.de/",
        "https://sellercentral.amazon.de:8443/",
        "https://sellercentral.amazon.de.evil.com/",
        "https://sellercentral.amazon.de@evil.com/",
        "https://sellercentral.amazon.de:443@evil.com/",
        "https://me@sellercentral.amazon.de/",
        "https://sellercentral.amazon.de\\@evil.com/",
        "https://evil.com\\.sellercentral.amazon.de/",
        "https://sellercentral.amazon.de./",
        "https://sellercentral.amazon.com/",
        "https:///home",
        "http://m.media-amazon.com/a.png",
        "https://evil-m.media-amazon.com/a.png",
        "https://m.media-amazon.com.evil.com/a.png",
        "https://a.m.media-amazon.com/a.png",
        "https://m.media-amazon.com:8443/a.png",
        "https://m.media-amazon.com@evil.com/a.png",
        "https://me:secret@m.media-amazon.com/a.png",
        "https://token.awswaf.com/a.js",
        "https://.token.awswaf.com/a.js",
        "https://eviltoken.awswaf.com/a.js",
        "https://a.token.awswaf.com.evil.com/a.js",
        "https://evil.com\\.token.awswaf.com/a.js",
        "https://evil.com%2f.token.awswaf.com/a.js",
        "https://evil.com%23.token.awswaf.com/a.js",
        "https://evil.com#.token.awswaf.com/a.js",
        "https://evil.com?.token.awswaf.com",
        "https://me@x.token.awswaf.com/a.js",
        "https://a..token.awswaf.com/a.js",
        "https://[::1]/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_leaves_for_another_host_however_it_is_dressed(method: str, url: str) -> None:
    assert objection(method, url, signing_in=True) == "another host"


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
def test_an_asset_host_is_sent_nothing(method: str) -> None:
    assert objection(method, "https://m.media-amazon.com/a.png") == "another host"


@pytest.mark.parametrize("url", ["https://[evil.com/", "https://[::1", "https://a\u2100b.com/"])
def test_an_address_that_cannot_be_read_does_not_leave(url: str) -> None:
    assert objection("GET", url) == "an address that cannot be read"


@pytest.mark.parametrize("url", ["data:text/html,<p>", "blob:https://evil.com/1-2", "about:blank", "about:srcdoc"])
def test_what_stays_in_the_browser_may_go_on(url: str) -> None:
    assert objection("GET", url) is None


@pytest.mark.parametrize(
    "url, scheme",
    [
        ("file:///etc/passwd", "file"),
        ("chrome-extension://abc/x.js", "chrome-extension"),
        ("chrome://settings", "chrome"),
        ("ws://sellercentral.amazon.de/socket", "ws"),
        ("wss://sellercentral.amazon.de/socket", "wss"),
        ("ftp://sellercentral.amazon.de/", "ftp"),
        ("filesystem:https://sellercentral.amazon.de/temporary/x", "filesystem"),
        ("javascript:alert(1)", "javascript"),
        ("//evil.com/", ""),
        ("/home", ""),
        ("", ""),
    ],
)
def test_no_other_scheme_leaves(url: str, scheme: str) -> None:
    assert objection("GET", url, signing_in=True) == f"scheme {scheme}"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "get", "post", ""])
@pytest.mark.parametrize("signing_in", [False, True])
def test_no_other_method_leaves(method: str, signing_in: bool) -> None:
    assert objection(method, f"{SITE}/ap/signin", "{}", signing_in=signing_in) == f"method {method}"


@pytest.mark.parametrize("origin", [SITE, RETAIL])
@pytest.mark.parametrize("path", ["/ap/signin", "/ap/signin?openid.mode=x", "/ax/claim?policy_handle=Retail"])
def test_a_sign_in_is_posted_only_while_signing_in(origin: str, path: str) -> None:
    assert objection("POST", origin + path, "email=me", signing_in=True) is None
    assert objection("POST", origin + path, "email=me") == "a sign-in POST outside the sign-in"


@pytest.mark.parametrize("host", ["https://www.amazon.com", "http://www.amazon.de", "https://www.amazon.de.evil.com"])
def test_a_sign_in_is_posted_only_to_a_trusted_origin(host: str) -> None:
    assert objection("POST", f"{host}/ap/signin", "email=me", signing_in=True) == "another host"


@pytest.mark.parametrize(
    "path",
    [
        "/ap/signin/",
        "/ap/signin/more",
        "//ap/signin",
        "/AP/signin",
        "/ap/%73ignin",
        "/ap/signin;x",
        "/x/../ap/signin",
        "/ap/cvf/approval/resend",
        "/messaging/api/global/cases/1/artifacts/message",
        "/messaging/api/global/cases/1/caseStatus?marketplaceId=X",
        "/hill/hillservice/mons-api/ReplyCase",
        "/",
    ],
)
def test_a_post_that_is_not_named_letter_for_letter_does_not_leave(path: str) -> None:
    assert objection("POST", SITE + path, "{}", signing_in=True) == "a POST that is not named in the site map"


@pytest.mark.parametrize(
    "body",
    [
        {"page": 0, "searchPageSize": 50, "caseFilters": {"caseOwner": "MerchantCases"}},
        {"page": 3},
    ],
)
@pytest.mark.parametrize("signing_in", [False, True])
def test_a_listing_post_of_the_known_shape_may_leave(body: dict[str, object], signing_in: bool) -> None:
    assert objection("POST", SITE + LISTING, json.dumps(body), signing_in=signing_in) is None


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "page=0",
        "null",
        "[]",
        '["page"]',
        '"page"',
        '{"page": 0',
        '{"page": 0} {}',
        '{"page": 0, "reply": "yes"}',
        '{"Page": 0}',
        '{"page ": 0}',
        "[" * 100_000,
    ],
)
def test_a_listing_post_of_another_shape_does_not_leave(body: str | None) -> None:
    assert objection("POST", SITE + LISTING, body) == "a listing POST of an unknown shape"


@pytest.mark.parametrize("path", [LISTING + "/", LISTING.lower(), "/" + LISTING, LISTING + "/../ReplyCase"])
def test_a_listing_post_to_another_path_does_not_leave(path: str) -> None:
    assert objection("POST", SITE + path, '{"page": 0}') == "a POST that is not named in the site map"


def test_a_listing_post_goes_only_to_the_site_itself() -> None:
    assert objection("POST", RETAIL + LISTING, '{"page": 0}') == "a POST that is not named in the site map"
    assert objection("POST", "https://evil.com" + LISTING, '{"page": 0}') == "another host"


def test_a_map_may_forbid_everything() -> None:
    guard_map = GuardMap(asset_hosts=(), sign_in_posts=(), person_posts=(), forbidden_gets=("/",), listing_posts=())
    rules = Rules(SITE, frozenset({SITE}), guard_map)

    assert {rules.objection("GET", SITE + path, None, signing_in=True) for path in ("", "/", "/home")} == {
        CHANGES_STATE
    }


def test_the_shipped_map_refuses_every_write_the_site_is_known_to_have() -> None:
    rules = Rules(SITE, trusted_origins(SITE), load().guard)
    writes = [
        ("POST", "/messaging/api/global/cases/1/caseStatus?marketplaceId=A1PA6795UKMFR9"),
        ("POST", "/messaging/api/global/cases/1/artifacts/message"),
        ("POST", "/messaging/api/global/attachments"),
        ("POST", "/messaging/api/resourceError"),
        ("POST", "/hill/hillservice/mons-api/ReplyCase"),
        ("POST", "/ap/cvf/approval/resend"),
        ("GET", "/messaging/no-response-needed?t=1&m=2&mp=3"),
        ("GET", "/messaging/contact?orderID=1"),
        ("GET", "/gp/flex/sign-out.html"),
        ("GET", "/ap/cvf/approval/resend"),
    ]

    passed = [
        (method, path)
        for method, path in writes
        for signing_in in (False, True)
        if rules.objection(method, SITE + path, "{}", signing_in=signing_in) is None
    ]

    assert passed == []


def test_the_shipped_map_lets_the_archivers_own_reading_through() -> None:
    sitemap = load()
    rules = Rules(SITE, trusted_origins(SITE), sitemap.guard)
    paths = [sitemap.home, sitemap.switcher_path, sitemap.identity_path]
    for source in sitemap.sources.values():
        paths += [source.list, source.list_json, source.thread, source.thread_json]

    refused = [path for path in paths if rules.objection("GET", SITE + path, None, signing_in=False) is not None]

    assert refused == []


# --- connections ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host, port, may",
    [
        ("sellercentral.amazon.de", 443, True),
        ("www.amazon.de", 443, True),
        ("m.media-amazon.com", 443, True),
        ("abc.token.awswaf.com", 443, True),
        ("sellercentral.amazon.de", 80, False),
        ("sellercentral.amazon.de", 3478, False),
        ("m.media-amazon.com", 80, False),
        ("token.awswaf.com", 443, False),
        ("evil.com", 443, False),
        ("127.0.0.1", 443, False),
        ("", 443, False),
    ],
)
def test_only_where_a_request_may_go_a_connection_may_go(host: str, port: int, may: bool) -> None:
    assert RULES.may_reach(host, port) is may


def test_a_site_on_loopback_is_reached_at_its_own_port_only() -> None:
    rules = Rules("http://127.0.0.1:8765", frozenset({"http://127.0.0.1:8765"}), MAP)

    assert [rules.may_reach("127.0.0.1", port) for port in (8765, 80, 443)] == [True, False, False]
