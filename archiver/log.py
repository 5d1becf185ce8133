"""The log: past-tense facts on stderr, JSON lines for a machine and text for a person, secrets masked last.

`redact` is the one pure step that decides what a log may say; nothing is rendered that has not gone through it.
Correspondence is never logged: what a message says lives in the archive, encrypted, and nowhere else.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

MASK = "***"

_secrets: set[str] = set()


def hide(*secrets: str) -> None:
    """From now on, mask these wherever they appear in the log."""
    _secrets.update(secret for secret in secrets if secret)


# --- what a log may say (pure) ----------------------------------------------------------------------------------

_SENSITIVE_WORDS = frozenset(
    "authorization body content cookie cookies email html mail otp passphrase passwd password payload phone pwd "
    "secret secrets snippet subject token tokens totp".split()
)
"""A key that has one of these as a word is masked, whatever its value: `totp_secret`, `setCookie`, `message-body`."""

_SENSITIVE_KEYS = frozenset("code login query text user username".split())
"""Masked only as the whole key: `code` may be a one-time code, `exit_code` is none."""

_WORD = re.compile(r"[a-z0-9]+|[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_USERINFO = re.compile(r"(?<=://)[^/?#@\s]+(?=@)")
# A query is what follows a question mark up to a space, and a fragment may carry a token just as well.
_QUERY = re.compile(r"(?<=[\w/.\-\]])[?#](?=[^\s?#\"'<>]*[=&%])[^\s\"'<>]*")
_URL_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)


def redact(event: Mapping[str, Any], secrets: Iterable[str] = ()) -> dict[str, Any]:
    """The same event with nothing in it that a log may not say.

    Masked are the values under sensitive keys, the given secrets wherever they appear (as themselves, percent-encoded
    or as a Python literal), e-mail addresses, names and passwords in URLs, and queries and fragments of URLs. Bytes
    are shown by their length. Everything else becomes text, so that no renderer meets an object it would print whole.
    """
    masks = _masks(secrets)
    return {key: _redacted(key, value, masks) for key, value in event.items()}


def _masks(secrets: Iterable[str]) -> list[str]:
    forms = set()
    for secret in filter(None, secrets):
        forms |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]}
    # The longest first: one secret may be a part of another.
    return sorted(forms, key=lambda form: (-len(form), form))


def _redacted(key: str, value: Any, masks: list[str]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _is_sensitive(key):
        return MASK
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if isinstance(value, (int, float)) and type(value) in (int, float):
        # A one-time code may come as a number.
        return _masked(str(value), masks) if str(value) in masks else value
    if isinstance(value, Mapping):
        return {_masked(str(k), masks): _redacted(str(k), v, masks) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redacted(key, v, masks) for v in value]
    return _masked(str(value), masks)


def _is_sensitive(key: str) -> bool:
    return key.lower() in _SENSITIVE_KEYS or any(word.lower() in _SENSITIVE_WORDS for word in _WORD.findall(key))


def _masked(text: str, masks: list[str]) -> str:
    for mask in masks:
        text = text.replace(mask, MASK)
    text = _URL_QUERY.sub(rf"\1?{MASK}", text)
    text = _QUERY.sub(f"?{MASK}", text)
    text = _USERINFO.sub(MASK, text)
    return _EMAIL.sub(MASK, text)


# --- the pipeline -----------------------------------------------------------------------------------------------


def configure(*, verbose: int = 0, stream: TextIO | None = None) -> None:
    """Log to stderr from now on, what other libraries log included. `verbose` 0 is facts, 1 and more is everything.

    JSON lines where the stream is no terminal; times in UTC.
    """
    import structlog

    target = stream or sys.stderr
    level = logging.DEBUG if verbose else logging.INFO
    for_person = target.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Tracebacks become text here, so that they are redacted too; a prettier one would print local variables.
            structlog.processors.format_exc_info,
            _redact_step,
            *_renderers(for_person),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    # Other libraries log through the standard library: warnings, or everything for who asked for it.
    logging.basicConfig(handlers=[_Bridge()], level=logging.DEBUG if verbose > 1 else logging.WARNING, force=True)


def get_logger() -> FilteringBoundLogger:
    """The log, for `info("thread kept", source=…)`. Facts in the past tense; nothing of what a message says."""
    import structlog

    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def _redact_step(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return redact(event, _secrets)


def _renderers(for_person: bool) -> list[Any]:
    import structlog

    if not for_person:
        return [structlog.processors.JSONRenderer(ensure_ascii=False)]
    colours = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return [
        _printable_step,
        structlog.dev.ConsoleRenderer(
            colors=colours, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _printable_step(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Control characters, which a site may have put into a name, do not reach a terminal."""
    return {key: _printable(value) if isinstance(value, str) else value for key, value in event.items()}


def _printable(text: str) -> str:
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf") else "\ufffd" for c in text)


class _Bridge(logging.Handler):
    """What a library logs, through the same pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        get_logger().log(record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info)
