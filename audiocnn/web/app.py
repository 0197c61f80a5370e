"""The application: the API, the page's files, and the guard before both."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from audiocnn.web.access import Guard, problem
from audiocnn.web.api import routes
from audiocnn.web.site import Site

STATIC = Path(__file__).parent / "static"
SPECTRA_EVERY = 0.2  # seconds between two messages of live spectra
TYPES = {
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}  # fmt: skip


def make_app(site: Site, more: Sequence[BaseRoute] = (), page: str = "index.html") -> ASGIApp:
    """Make the application of a site.

    Parameters
    ----------
    site
        What it shows.
    more
        Further routes, which come first.
    page
        The file at ``/``.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(send_spectra(site))
        try:
            yield
        finally:
            task.cancel()

    static = [Route("/", file_route(STATIC / page))]
    static += [Route(f"/static/{path.name}", file_route(path)) for path in STATIC.iterdir()]
    app = Starlette(
        routes=[*more, *routes(site), *static],
        exception_handlers={HTTPException: http_problem, 500: server_problem},
        lifespan=lifespan,
    )
    return Guard(app, site.access)  # outermost: its headers are on answers to errors, too


async def send_spectra(site: Site) -> None:
    """Send live spectra while a client is subscribed to them."""
    while True:
        await asyncio.sleep(SPECTRA_EVERY)
        if site.feed.is_wanted("spectrum"):
            await asyncio.to_thread(site.publish_spectra)


def file_route(path: Path) -> Callable[[Request], Awaitable[Response]]:
    """Serve one file, read now: no request names a path or reaches the file system."""
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag}
    media_type = TYPES.get(path.suffix, "application/octet-stream")

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media_type, headers=headers)

    return serve


async def http_problem(request: Request, error: Exception) -> Response:
    """Answer as JSON, as everything here does."""
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def server_problem(request: Request, error: Exception) -> Response:
    """Answer without details, which go to the log."""
    return problem(500, "something went wrong in the server", "its log has the details")
