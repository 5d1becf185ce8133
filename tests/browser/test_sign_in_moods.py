"""Each mood of the site's sign-in, met by the real door in a real browser: the stand-in's counters are the judge."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from archiver.cli.demo import meet
from archiver.demo.moods import SignInMood
from archiver.demo.moods.sign_in import sign_in_moods
from archiver.demo.seller import Seller, make_seller

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)
