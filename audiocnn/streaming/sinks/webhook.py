"""Messages to a web address: HTTP POST of one JSON object, or of a body of one's own.

A secret comes from the environment, is sent in a header, and is never shown. Neither is
the address beyond its host, as many services put their secret there. Redirects are not
followed: they would carry the secret elsewhere. A message whose answer was lost is sent
again, with the same ``Idempotency-Key``.
"""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from audiocnn import __version__
from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.streaming.messages import EventMessage, Message, format_message, values_of
from audiocnn.streaming.sinks.base import MessageFilter, TryAgain
from audiocnn.streaming.sinks.command import PLACE, check_places
from audiocnn.streaming.units import Seconds

TRIES = 5  # of a message that the server may be unable to take
AWAY = {429, 502, 503, 504}  # the server is busy or away: no fault of the message
LONGEST_WAIT = 300.0  # seconds, whatever the server asks for
METHODS = ("POST", "PUT", "PATCH")
SECRET_HEADERS = re.compile(r"(?i)auth|cookie|token|secret|api-?key|password")
EVENTS = MessageFilter(("event",))
EXAMPLE = EventMessage(id="i", source="s", host="h", time="t", start=0.0, end=1.0, label="l",
                       score=0.5)  # fmt: skip


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
    method
        ``"POST"``, ``"PUT"`` or ``"PATCH"``.
    body
        What is sent instead of the message's JSON: a text in which ``{label}``, ``{score}``,
        ``{start}``, ``{end}``, ``{time}``, ``{id}``, ``{type}``, ``{source}``, ``{host}`` and
        ``{clip}`` are replaced. Values are escaped as JSON asks unless ``headers`` name
        another content type.
    headers
        Further headers. Secrets are refused here: they belong into ``secret_env``.
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
        method: str = "POST",
        body: str = "",
        headers: Mapping[str, str] | None = None,
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
        if method not in METHODS:
            raise ArgumentError(f"{name}: method must be {', '.join(METHODS)}, got {method!r}")
        self.name, self.wants = name, wants
        self._url, self._timeout, self._method, self._body = url, timeout, method, body
        self._place = f"{parts.scheme}://{parts.hostname}"
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"audiocnn/{__version__}",
        }
        self._headers |= check_headers(headers or {}, name)
        self._is_json = "json" in self._headers["Content-Type"]
        if body:
            check_places(body, name)
            if self._is_json:
                check_json(fill(body, EXAMPLE, is_json=True), name)
        if secret_env:
            self._headers[header] = read_secret(secret_env, name)
        self._opener = urllib.request.build_opener(_NoRedirects)

    def handle(self, message: Message) -> None:
        """Send a message, once."""
        key = f"{message.type}-{message.id}"
        headers = {**self._headers, "Idempotency-Key": re.sub(r"[^\w:.+-]", "_", key, flags=re.A)}
        text = format_message(message)
        if self._body:
            text = fill(self._body, message, is_json=self._is_json)
        request = urllib.request.Request(self._url, text.encode(), headers, method=self._method)
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


def check_headers(headers: Mapping[str, str], name: str) -> dict[str, str]:
    """Check names and values of headers; give them, with the names as HTTP writes them.

    Raises
    ------
    ArgumentError
        If one cannot be sent, or looks like a secret.
    """
    for key, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", key) or not value.isprintable():
            raise ArgumentError(f"{name}: {key!r} is no header that can be sent")
        if SECRET_HEADERS.search(key):
            raise ArgumentError(
                f"{name}: the header {key!r} carries a secret: give header = {key!r} and "
                "secret_env, the environment variable with its value"
            )
    return {"-".join(part.capitalize() for part in k.split("-")): v for k, v in headers.items()}


def check_json(text: str, name: str) -> None:
    """Refuse a body that is no JSON.

    Raises
    ------
    ArgumentError
        If it is not; says where.
    """
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ArgumentError(
            f"{name}: body is no JSON ({error}); for a text, give headers = "
            '{ "Content-Type" = "text/plain" }'
        ) from None


def fill(body: str, message: Message, *, is_json: bool) -> str:
    """Put a message's values where a body names them."""
    values = values_of(message)

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        found = values.get(match[1])
        if isinstance(found, float):
            return f"{found:.3f}"
        text = "" if found is None else str(found)
        return msgspec.json.encode(text).decode()[1:-1] if is_json else text

    return PLACE.sub(value, body)


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
