"""One JSON document from a public service: retries with back-off, a pace, time limits, and messages that help offline."""

import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3

from ..sim.foundation.errors import HashGymError
from .keys import hide

log = logging.getLogger(__name__)

ATTEMPTS: Final = 5
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
"""Waits between attempts, which double from the first to the longest. [s] chosen."""
CONNECT_S: Final = 10.0
READ_S: Final = 30.0
"""Longest times to a connection and between two parts of an answer. [s] chosen."""
WHOLE_S: Final = 120.0
"""Longest time that a document may take, however slowly it drips. [s] chosen."""
MOST_BYTES: Final = 64 * 1024 * 1024
RETRIED: Final = (408, 425, 429, 500, 502, 503, 504)
"""Status codes that a later attempt may mend. Source: RFC 9110 sec. 15, RFC 6585."""


class SourceError(HashGymError, OSError):
    """A public service gave nothing that can be used."""


class _TransientError(Exception):
    """An attempt failed in a way that another may not; `wait_s` is what the server asks for."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


@dataclass(slots=True)
class Web:
    """A client of one service.

    per_minute: requests a minute at most. sleep and clock can be replaced in tests.
    """

    per_minute: float = 60.0  # chosen: one a second
    attempts: int = ATTEMPTS
    whole_s: float = WHOLE_S
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _next: float = field(default=0.0, init=False)
    _session: requests.Session = field(default_factory=requests.Session, init=False)

    def document(
        self, url: str, params: dict[str, Any], headers: dict[str, str], secrets: tuple[str, ...] = ()
    ) -> tuple[Any, bytes]:
        """Return a JSON document and its bytes.

        Args:
            url: Address without query.
            params: The query.
            headers: Further headers.
            secrets: Keys in them, which no message shows.

        Raises:
            SourceError: After all attempts, or at once where another attempt would not help.
        """
        host = urlsplit(url).netloc
        why = ""
        for attempt in range(self.attempts):
            self._pace()
            try:
                body = self._body(url, params, headers, secrets)
                return json.loads(body), body
            except _TransientError as error:
                why, wait_s = str(error), error.wait_s
            except ValueError as error:
                text = body[:60].decode("utf-8", "replace").strip()
                why, wait_s = f"the answer is not JSON: {text!r} ({error})", None
            if attempt + 1 < self.attempts:
                if wait_s is None:
                    wait_s = FIRST_WAIT_S * 2.0**attempt * (0.5 + random.random())
                wait_s = min(wait_s, LONGEST_WAIT_S)
                log.warning("%s: %s; waiting %.1f s", host, hide(why, secrets), wait_s)
                self.sleep(wait_s)
        raise SourceError(f"{host} gave nothing usable in {self.attempts} attempts: {hide(why, secrets)}")

    def _pace(self) -> None:
        now = self.clock()
        if now < self._next:
            self.sleep(self._next - now)
        self._next = max(now, self._next) + 60.0 / self.per_minute

    def _body(self, url: str, params: dict[str, Any], headers: dict[str, str], secrets: tuple[str, ...]) -> bytes:
        until = self.clock() + self.whole_s
        try:
            with self._session.get(
                url, params=params, headers=headers, timeout=(CONNECT_S, READ_S), stream=True, allow_redirects=False
            ) as answer:
                if answer.status_code in RETRIED:
                    raise _TransientError(f"status {answer.status_code}", _retry_after(answer))
                if answer.status_code != requests.codes.ok:
                    text = answer.raw.read(200, decode_content=True).decode("utf-8", "replace")
                    raise SourceError(
                        f"{urlsplit(url).netloc} refuses: status {answer.status_code}, {_plain(text, headers, params, secrets)!r}"
                    )
                return self._read(answer, until)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            kind = type(error).__name__
            raise _TransientError(f"no whole answer ({kind}); is there a network?") from None

    def _read(self, answer: requests.Response, until: float) -> bytes:
        parts, size = [], 0
        while part := answer.raw.read1(65536, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise SourceError(f"the answer is larger than {MOST_BYTES} bytes")
            if self.clock() > until:
                raise _TransientError(f"the answer took more than {self.whole_s:g} s")
        return b"".join(parts)


def _plain(text: str, headers: dict[str, str], params: dict[str, Any], secrets: tuple[str, ...]) -> str:
    """Return a refusal's text without anything that was sent: servers echo keys."""
    sent = [str(value) for value in (*headers.values(), *params.values()) if len(str(value)) > 7]
    return hide(text, [*secrets, *sent])


def _retry_after(answer: requests.Response) -> float | None:
    """Return what a server asks to wait, as seconds or as a date. Source: RFC 9110 sec. 10.2.3."""
    given = answer.headers.get("Retry-After", "")
    if given.isdigit():
        return float(given)
    try:
        return max(0.0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
