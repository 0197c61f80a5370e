"""The review page: a server on this machine alone, with a token of its own."""

from __future__ import annotations

from audiocnn.web.access import Access
from audiocnn.web.app import make_app
from audiocnn.web.review.api import review_routes
from audiocnn.web.review.review import Review
from audiocnn.web.server import WebServer
from audiocnn.web.settings import WebSettings, read_tokens
from audiocnn.web.site import Site


def review_server(review: Review, port: int) -> tuple[WebServer, str]:
    """Make the server of a review, not started, and the link that opens its page.

    The token is made for this run and stands behind the ``#`` of the link, which browsers
    do not send.

    Raises
    ------
    AudiocnnError
        If the port cannot be used.
    """
    settings = WebSettings(port=port)
    tokens = read_tokens(settings, {})
    site = Site(review.source.title, Access(settings, tokens), kind="review")
    app = make_app(site, review_routes(review, site), "review.html")
    server = WebServer(app, settings, site.close)
    return server, f"{server.address}#token={tokens.owner}"
