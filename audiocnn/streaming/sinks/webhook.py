"""Messages to a web address: HTTP POST of one JSON object.

A secret comes from the environment, goes out in a header, and is never shown. Nor
is the address beyond its host, as many services put their secret there. Redirects
are not followed: they would carry the secret elsewhere. A message whose answer was
lost is sent again, with the same ``Idempotency-Key``.
"""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from audiocnn import __version__
from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.streaming.messages import Message, format_message
from audiocnn.streaming.sinks.base import MessageFilter, TryAgain
from audiocnn.streaming.units import Seconds

TRIES = 5  # of a message that the server may be unable to take
AWAY = {429, 502, 503, 504}  # the server is busy or away: no fault of the message
LONGEST_WAIT = 300.0  # seconds, whatever the server asks for
EVENTS = MessageFilter(("event",))


class WebhookError(AudiocnnError):
    """A server did not accept a message."""


class Webhook:
    """Send each event to a web address.

    Parameters
    ----------
    url
        http or https.
    secret_env
        Environment variable with the value of ``header``; empty for none.
    header
        Which header carries the secret.
    timeout
        Seconds to wait for the server.
    wants
        What is sent.
    name
        For messages to the user.

    Raises
    ------
    ArgumentError
        If the address is none, or the variable is not set.
    """

    def __init__(
        self,
        url: str,
        *,
        secret_env: str = "",
        header: str = "Authorization",
        timeout: Seconds = 10.0,
        wants: MessageFilter = EVENTS,
        name: str = "webhook",
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ArgumentError(f"{name}: the address must begin with https:// or http://")
        if parts.username or parts.password:
            raise ArgumentError(f"{name}: no passwords in the address; use secret_env")
        if timeout <= 0:
            raise ArgumentError(f"{name}: timeout must be above 0 seconds, got {timeout}")
        if not re.fullmatch(r"[A-Za-z0-9-]+", header):
            raise ArgumentError(f"{name}: {header!r} is no name of a header")
        self.name, self.wants = name, wants
        self._url, self._timeout = url, timeout
        self._place = f"{parts.scheme}://{parts.hostname}"
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"audiocnn/{__version__}",
        }
        if secret_env:
            self._headers[header] = read_secret(secret_env, name)
        self._opener = urllib.request.build_opener(_NoRedirects)

    def handle(self, message: Message) -> None:
        """Send a message, once."""
        key = f"{message.type}-{message.id}"
        headers = {**self._headers, "Idempotency-Key": re.sub(r"[^\w:.+-]", "_", key, flags=re.A)}
        data = format_message(message).encode()
        request = urllib.request.Request(self._url, data, headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, error.headers.get("Retry-After")) from None
        except urllib.error.URLError as error:  # no connection: nothing was sent
            raise TryAgain(f"{self._place} cannot be reached: {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:  # no answer, or none that is HTTP
            why = str(error) or type(error).__name__
            raise TryAgain(f"{self._place} did not answer: {why}", tries=TRIES) from None

    def close(self) -> None:
        """Nothing is kept open."""

    def _refusal(self, code: int, wait: str | None) -> AudiocnnError:
        reason = f"{self._place} answered {code} {http.client.responses.get(code, '')}".rstrip()
        after = min(float(wait), LONGEST_WAIT) if wait and wait.isdecimal() else 0.0
        if code in AWAY:
            return TryAgain(reason, after=after)
        if code == 408 or code >= 500:
            return TryAgain(reason, tries=TRIES, after=after)
        if code in (301, 302, 303, 307, 308):
            reason += ": it moved; give its new address"
        return WebhookError(reason)


def read_secret(variable: str, name: str) -> str:
    """Take a secret from the environment.

    Raises
    ------
    ArgumentError
        If it is not there, or cannot stand in one line; without telling it.
    """
    value = os.environ.get(variable, "")
    if not value:
        raise ArgumentError(
            f"{name}: the environment variable {variable!r} is not set; secrets are taken from"
            " there, not from files of settings"
        )
    if not value.isprintable() or not value.isascii():
        raise ArgumentError(f"{name}: the value of {variable} must be one line of ASCII text")
    return value


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none: the answer is then an error with its code."""
