"""Sealed bytes open whole, in their place, with their key; or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.archive.seal import SealBroken, seal, unseal

KEY = bytes(range(32))


@given(st.binary(max_size=300), st.text(max_size=20), st.text(max_size=20))
def test_what_was_sealed_opens(content: bytes, capture: str, name: str) -> None:
    actual = unseal(seal(content, KEY, capture, name), KEY, capture, name)

    assert actual == content


@pytest.mark.parametrize(
    "key, capture, name", [(KEY[::-1], "1-a", "dom"), (KEY, "2-a", "dom"), (KEY, "1-a", "json/0"), (KEY, "1-a", "")]
)
def test_a_blob_does_not_open_elsewhere(key: bytes, capture: str, name: str) -> None:
    blob = seal(b"content", KEY, "1-a", "dom")

    with pytest.raises(SealBroken):
        unseal(blob, key, capture, name)


def test_no_bit_can_be_flipped_and_nothing_cut_off() -> None:
    blob = seal(b"content", KEY, "1-a", "dom")
    changed = [blob[:length] for length in range(len(blob))]
    for bit in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(flipped))
    opened = 0
    for bad in changed:
        try:
            unseal(bad, KEY, "1-a", "dom")
        except SealBroken:
            continue
        opened += 1

    assert opened == 0


def test_a_blob_of_version_one_stays_readable() -> None:
    blob = bytes.fromhex(VERSION_ONE)

    actual = unseal(blob, KEY, "7-0badcafe", "artifact dom")

    assert actual == "Größe 退款".encode()


VERSION_ONE = "017cc9ab56d87e776ebe1b01db7a0f87ca57f819987427339fa04ca46259373b9f9071c71c0211d2a2af8a"
