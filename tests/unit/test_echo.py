"""The echo service: whose address it says, and whom it believes about that."""

from __future__ import annotations

import pytest

from archiver.cli.echo import asker

PROXY = "10.0.0.2"


@pytest.mark.parametrize(
    "peer, forwarded, trusted, seen",
    [
        ("203.0.113.7", [], [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.9"], [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.9"], [PROXY], "203.0.113.7"),
        (PROXY, ["203.0.113.7"], [PROXY], "203.0.113.7"),
        (PROXY, ["198.51.100.9, 203.0.113.7"], [PROXY], "203.0.113.7"),
        (PROXY, ["198.51.100.9", "203.0.113.7"], [PROXY], "203.0.113.7"),
        (PROXY, [], [PROXY], PROXY),
        ("::ffff:10.0.0.2", ["2001:DB8::7"], [PROXY], "2001:db8::7"),
        (PROXY, ["::ffff:203.0.113.7"], ["::ffff:10.0.0.2"], "203.0.113.7"),
        ("::ffff:203.0.113.7", [], [], "203.0.113.7"),
        ("2001:db8:0::7", [], [], "2001:db8::7"),
    ],
)
def test_only_a_trusted_proxy_is_believed_and_only_its_last_word(
    peer: str, forwarded: list[str], trusted: list[str], seen: str
) -> None:
    assert asker(peer, forwarded, trusted) == seen


@pytest.mark.parametrize("forwarded", ["unknown", "", "203.0.113.7,", "203.0.113.7:5000", "<b>"])
def test_what_a_trusted_proxy_says_must_be_an_address(forwarded: str) -> None:
    with pytest.raises(ValueError, match="address"):
        asker(PROXY, [forwarded], [PROXY])
