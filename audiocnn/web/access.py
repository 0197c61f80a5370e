"""Who may do what, and from where: the checks before every request.

    request -> host -> origin -> body size -> rights -> the page or the API

Three kinds of attack are meant. Another site in the user's browser cannot change
anything (the cookie is SameSite=Strict, and Origin must be this server's) nor read
(no CORS headers; resources are same-origin). A name that an attacker points at this
machine's address (DNS rebinding) is refused, because its Host is not one of ours. And
script smuggled in through a class name or file name does not run: the page has a
content security policy without inline script.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audiocnn.web.settings import Tokens, WebSettings, is_loopback

COOKIE_AGE = 90 * 86400  # seconds
MAX_BODY = 64 * 1024  # bytes of a request
MAX_FAILURES, FAILURES_IN = 10, 60.0  # wrong tokens, and seconds in which they are counted
SAFE_METHODS = frozenset({"GET", "HEAD"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True)
class Rights:
    """What a request may do.

    Parameters
    ----------
    read
        See events, levels, pictures, and play clips.
    write
        Give verdicts.
    audio
        Listen to the live sound.
    """

    read: bool = False
    write: bool = False
    audio: bool = False


@dataclass
class Access:
    """Checks tokens and cookies, hosts and origins.

    Parameters
    ----------
    settings
        Of the server.
    tokens
        Its secrets.
    """

    settings: WebSettings
    tokens: Tokens
    _failures: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Gather the names of this machine."""
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, f"{own}.local"}
        self._hosts |= {host.lower() for host in self.settings.hosts}
        if not self.settings.host.startswith("::"):
            self._hosts.add(self.settings.host.lower())

    @property
    def cookie_name(self) -> str:
        """Name of the cookie; cookies are not kept apart by port, so the port is in it."""
        return f"audiocnn_{self.settings.port}"

    def rights_of(self, headers: Headers) -> Rights:
        """Give the rights of a request: by bearer token, cookie, or as one of this machine."""
        role = self._role(headers)
        if role:
            return self.rights_of_role(role)
        return Rights(read=self.settings.is_loopback and is_direct(headers))

    def rights_of_role(self, role: str) -> Rights:
        """Give the rights of an owner or a guest."""
        if role == "owner":
            return Rights(True, True, self.settings.live_audio)
        return Rights(read=role == "guest")

    def role_of_token(self, token: str) -> str:
        """Give "owner" or "guest" for a token; empty if it is neither."""
        given = token.encode("utf-8", "surrogatepass")
        found = ""
        for role, secret in (("owner", self.tokens.owner), ("guest", self.tokens.guest)):
            if secret and hmac.compare_digest(given, secret.encode()):
                found = role
        if not found:
            self._failures.append(time.monotonic())
        return found

    def too_many_failures(self) -> bool:
        """Whether many wrong tokens came lately; a right one is accepted all the same."""
        while self._failures and time.monotonic() - self._failures[0] > FAILURES_IN:
            self._failures.popleft()
        return len(self._failures) >= MAX_FAILURES

    def make_cookie(self, role: str) -> str:
        """Make a cookie for a role: signed, so nothing is stored and restarts keep it."""
        content = f"{role}.{int(time.time()) + COOKIE_AGE}"
        return f"{content}.{self._sign(content)}"

    def _role(self, headers: Headers) -> str:
        authorization = headers.get("authorization", "")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self.role_of_token(token.strip())
        return self._role_of_cookie(headers.get("cookie", ""))

    def _role_of_cookie(self, header: str) -> str:
        content, _, signature = cookie_parser(header).get(self.cookie_name, "").rpartition(".")
        role, _, expires = content.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(content).encode()):
            return ""
        return role if expires.isdigit() and int(expires) > time.time() else ""

    def _sign(self, content: str) -> str:
        key = f"{self.tokens.owner}\0{self.tokens.guest}".encode()
        return hmac.new(key, f"cookie\0{content}".encode(), hashlib.sha256).hexdigest()

    def is_host(self, value: str) -> bool:
        """Whether a Host header names this server.

        Addresses are always accepted: a browser sends one only if the user, or a page
        at that address, named it, so nothing can be rebound.
        """
        name = host_name(value)
        if name is None:
            return False
        if name.rstrip(".").lower() in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def is_origin(self, origin: str, host: str) -> bool:
        """Whether an Origin header is a page of this server."""
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return False
        if parts.netloc.lower() == host.lower():
            return True
        return (parts.hostname or "") in {name.lower() for name in self.settings.hosts}


def is_direct(headers: Headers) -> bool:
    """Whether a request was made on this machine, and not through a reverse proxy on it.

    A proxy passes on the public host name, or adds a header with the client's address.
    Clients on other machines must not read without a token.
    """
    if any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via")):
        return False
    return is_loopback(host_name(headers.get("host", "")) or "")


def host_name(value: str) -> str | None:
    """Give the name or address in a Host header, without port; None if it is malformed."""
    try:
        parts = urlsplit(f"//{value}")
        _ = parts.port
    except ValueError:
        return None
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        return None
    return parts.hostname


class Guard:
    """ASGI middleware: refuses what must not get through, and adds security headers.

    Handlers find the request's `Rights` in ``request.state.rights``.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request and pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in HEADERS.items():
                    added.setdefault(name, value)
                added.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refuse(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send_secured)
            return
        rights = self._access.rights_of(headers)
        scope.setdefault("state", {})["rights"] = rights
        await self._app(self._without_base(scope), limited(receive), send_secured)

    def _refuse(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._access.is_host(hosts[0]):
            return problem(
                421, "this server does not answer to that host name",
                "add the name to [web] hosts in the settings",
            )  # fmt: skip
        if not scope["path"].startswith(self._access.settings.base_path):
            return problem(404, "not found", f"all is under {self._access.settings.base_path}/")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return problem(413, f"a request may have {MAX_BODY} bytes", "send less")
        if scope["method"] in SAFE_METHODS:
            return None
        return self._refuse_change(headers, hosts[0])

    def _refuse_change(self, headers: Headers, host: str) -> JSONResponse | None:
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "same-origin")
        foreign = origin is not None and not self._access.is_origin(origin, host)
        if foreign or site not in ("same-origin", "none"):
            return problem(403, "the request comes from another site", "open this page itself")
        has_bearer = headers.get("authorization", "").lower().startswith("bearer ")
        if origin is None and not has_bearer and "cookie" in headers:
            return problem(403, "the request names no origin", "send a bearer token")
        return None

    def _without_base(self, scope: Scope) -> Scope:
        """Take the prefix off the path, as a proxy would have done."""
        if base := self._access.settings.base_path:
            path = scope["path"][len(base) :] or "/"
            return {**scope, "path": path, "raw_path": path.encode("ascii", "replace")}
        return scope


def limited(receive: Receive) -> Receive:
    """Cut a body that is longer than `MAX_BODY`, whatever its Content-Length was."""
    taken = 0

    async def receive_limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY:
            return {"type": "http.disconnect"}
        return message

    return receive_limited


def problem(
    status: int, error: str, remedy: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Make the answer to a request that cannot be served: what is wrong, what to do."""
    content = {"error": error} | ({"remedy": remedy} if remedy else {})
    return JSONResponse(content, status, dict(headers or {}))


def cookie_header(name: str, value: str, *, path: str, secure: bool, age: int) -> str:
    """Write a Set-Cookie header that scripts and other sites cannot use."""
    parts: Iterable[str] = (
        f"{name}={value}", f"Path={path}", f"Max-Age={age}", "HttpOnly", "SameSite=Strict",
        *(("Secure",) if secure else ()),
    )  # fmt: skip
    return "; ".join(parts)
