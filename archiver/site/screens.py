"""Which sign-in screen is showing: a snapshot's landmarks to a name. Pure; the rules are the site map's.

The portal asks the live page which selectors of the map match something, and which of those matches a person could
see; here that answer becomes a screen. Order is the map's: the first rule that holds wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archiver.signin import Screen
from archiver.site.sitemap import ScreenRule


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The selectors of the map that matched on one page. `visible` is a subset of `present`."""

    visible: frozenset[str]
    present: frozenset[str]


def selectors(rules: Iterable[ScreenRule]) -> tuple[str, ...]:
    """Every selector the page has to be asked about, once each, in order."""
    asked: dict[str, None] = {}
    for rule in rules:
        asked.update(dict.fromkeys((*rule.visible, *rule.present, *rule.needs, *rule.unless)))
    return tuple(asked)


def screen(landmarks: Landmarks, rules: Iterable[ScreenRule]) -> Screen:
    """The screen that is showing; `Screen.UNKNOWN` when no rule holds."""
    for rule in rules:
        marked = any(s in landmarks.visible for s in rule.visible) or any(s in landmarks.present for s in rule.present)
        if any(s in landmarks.present for s in rule.unless):
            continue
        if marked and (not rule.needs or any(s in landmarks.visible for s in rule.needs)):
            return Screen(rule.name)
    return Screen.UNKNOWN
