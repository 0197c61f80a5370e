"""The HTTP API: JSON about sources, events, days, levels and health; clips and verdicts.

Handlers read the request, call one function of another module, and write the answer. They
run in threads where they touch the database or sound. What each needs to be allowed is
beside its path in `ROUTES`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from audiocnn.errors import ArgumentError, AudiocnnError
from audiocnn.streaming.calendar import days_between, hours_of, parse_day, timestamp, zone
from audiocnn.streaming.store import VERDICTS, EventFilter, History
from audiocnn.web import sounds
from audiocnn.web.access import COOKIE_AGE, Rights, cookie_header, problem
from audiocnn.web.clip_details import clip_details
from audiocnn.web.feed import TYPES
from audiocnn.web.openapi import describe
from audiocnn.web.site import Site
from audiocnn.web.sse import endless, stream

MOST_EVENTS = 500  # in one answer
LEVEL_POINTS = 1500  # about as many in one answer

Handler = Callable[[Request, Site], Any]


@dataclass(frozen=True)
class Endpoint:
    """A path of the API.

    Parameters
    ----------
    method, path
        How it is requested.
    needs
        The right that a request must have: "", "read", "write" or "audio".
    handler
        Gives JSON values or a response; a plain function runs in a thread.
    """

    method: str
    path: str
    needs: str
    handler: Handler


def info(request: Request, site: Site) -> dict[str, Any]:
    """Say what this server is and what the request may do."""
    rights: Rights = request.state.rights
    return {
        "name": site.title, "version": site.version, "kind": site.kind,
        "rights": {"read": rights.read, "write": rights.write, "audio": rights.audio},
        "has_history": site.history is not None, "time": timestamp(),
    }  # fmt: skip


async def login(request: Request, site: Site) -> Response:
    """Exchange a token for a cookie."""
    content = await read_json(request)
    role = site.access.role_of_token(str(content.get("token", "")))
    if not role:
        status = 429 if site.access.too_many_failures() else 401
        return problem(status, "the token is wrong", "look where the server printed it")
    rights = site.access.rights_of_role(role)
    response = JSONResponse({"rights": vars(rights)})
    return with_cookie(response, request, site, site.access.make_cookie(role), COOKIE_AGE)


async def logout(request: Request, site: Site) -> Response:
    """Forget the cookie."""
    return with_cookie(JSONResponse({}), request, site, "", 0)


def with_cookie(response: Response, request: Request, site: Site, value: str, age: int) -> Response:
    """Set the cookie; over HTTPS, also behind a proxy, for HTTPS alone."""
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
    path = site.access.settings.base_path or "/"
    header = cookie_header(site.access.cookie_name, value, path=path, secure=secure, age=age)
    response.headers.append("set-cookie", header)
    return response


def sources(request: Request, site: Site) -> dict[str, Any]:
    """List the sources as they are now."""
    return {"sources": site.sources()}


def spectrum(request: Request, site: Site) -> Any:
    """Give the spectrogram of a source's last half minute or more."""
    name = request.path_params["name"]
    if name not in {source["name"] for source in site.sources()}:
        raise HTTPException(404, "no source of this name")
    return site.spectrum(name) or {}


async def audio(request: Request, site: Site) -> Response:
    """Play the live sound of a source, as a WAV without end."""
    name = request.path_params["name"]
    if site.audio is None or name not in {source["name"] for source in site.sources()}:
        raise HTTPException(404, "no live sound of this source")
    return endless(site.audio.listen(name), "audio/wav")


async def events_stream(request: Request, site: Site) -> Response:
    """Stream messages as server-sent events."""
    query = request.query_params
    wanted = query.get("types", "")
    types = frozenset(wanted.split(",")) if wanted else TYPES
    if unknown := sorted(types - TYPES):
        return problem(400, f"no type of message {unknown[0]!r}", f"types: {', '.join(TYPES)}")
    last_id = request.headers.get("last-event-id", "") or query.get("last_id", "")
    return stream(site.feed.subscribe(last_id[:100], types, query.get("source", "")))


def events(request: Request, site: Site) -> dict[str, Any]:
    """List events, newest first."""
    query = request.query_params
    if (judged := query.get("verdict", "")) not in ("", "none", "any", *VERDICTS):
        raise ArgumentError(f"verdict is none, any, {', '.join(VERDICTS)}; got {judged[:40]!r}")
    wanted = EventFilter(
        labels=tuple(query.getlist("label")), sources=tuple(query.getlist("source")),
        after=moment(request, "from"), before=moment(request, "to"),
        min_score=number(request, "min_score", 0.0, 0.0, 1.0),
        verdict=judged, with_clip=query.get("clip") == "true",
    )  # fmt: skip
    limit = int(number(request, "limit", 50, 1, MOST_EVENTS))
    found, cursor = history_of(site).events(wanted, limit, query.get("cursor", ""))
    return {"events": found, "next": cursor or None}


def event(request: Request, site: Site) -> Any:
    """Give one event, with the length of its clip and where in it the event begins."""
    found = found_event(history_of(site).event(request.path_params["id"]))
    path = history_of(site).clip(found["id"])
    return {**found, "clip": clip_details(path, found["start"]) if path else None}


async def verdict(request: Request, site: Site) -> Any:
    """Store a verdict, or take it back."""
    content = await read_json(request)
    given, label = content.get("verdict"), content.get("label") or ""
    if not (given is None or isinstance(given, str)) or not isinstance(label, str):
        raise ArgumentError("verdict and label are texts, or null")
    history, key = history_of(site), request.path_params["id"]
    changed = found_event(await run_in_threadpool(history.judge, key, given, label))
    site.feed.publish({"type": "verdict", **changed})
    return changed


def clip(request: Request, site: Site) -> Response:
    """Give the sound of an event, whole or a range of its bytes."""
    path = history_of(site).clip(request.path_params["id"])
    if path is None:
        return missing_sound(request, site)
    return sounds.file_response(path)


def picture(request: Request, site: Site) -> Response:
    """Draw the sound of an event as a spectrogram."""
    width = int(number(request, "width", 480, 16, 2000))
    height = int(number(request, "height", 96, 16, 512))
    path = history_of(site).clip(request.path_params["id"])
    if path is None:
        return missing_sound(request, site)
    return sounds.picture_response(request, path, width, height)


def missing_sound(request: Request, site: Site) -> Response:
    """Say that a clip is not there yet, or not any more."""
    known = history_of(site).event(request.path_params["id"])
    if known is not None and known["has_clip"] and is_recent(known["time"]):
        return problem(503, "the clip is being written", "ask again", {"Retry-After": "3"})
    return problem(404, "no sound is stored of this event")


def days(request: Request, site: Site) -> dict[str, Any]:
    """Count events by day and label, and say how much of each day was analysed."""
    query, history = request.query_params, history_of(site)
    spans = days_between(
        parse_day(query.get("from", "")), parse_day(query.get("to", "")), zone(tz_of(request))
    )
    source = query.get("source", "")
    shares = history.heard(spans, source)
    return {"days": [
        {"day": span.name, "heard": round(share, 4),
         "counts": history.counts(timestamp(span.start), timestamp(span.end), source)}
        for span, share in zip(spans, shares, strict=True)
    ]}  # fmt: skip


def day(request: Request, site: Site) -> dict[str, Any]:
    """Count the events of a day by hour and label, with its gaps."""
    history, source = history_of(site), request.query_params.get("source", "")
    spans = hours_of(parse_day(request.path_params["day"]), zone(tz_of(request)))
    shares = history.heard(spans, source)
    bounds = timestamp(spans[0].start), timestamp(spans[-1].end)
    return {
        "hours": [
            {"hour": span.name, "start": timestamp(span.start), "heard": round(share, 4),
             "counts": history.counts(timestamp(span.start), timestamp(span.end), source)}
            for span, share in zip(spans, shares, strict=True)
        ],
        "gaps": history.gaps(*bounds, source),
    }  # fmt: skip


def levels(request: Request, site: Site) -> dict[str, Any]:
    """Give the sound levels of a source, by minute or in longer steps."""
    source = request.query_params.get("source", "")
    start, end = moment(request, "from"), moment(request, "to")
    if not (source and start and end):
        raise ArgumentError("levels need source, from and to")
    rows = history_of(site).levels(start, end, source)
    return {"source": source, **sounds.thinned(rows, LEVEL_POINTS)}


def labels(request: Request, site: Site) -> dict[str, Any]:
    """List the labels that a verdict may name: the models' and those of the history."""
    found = set(site.labels())
    if site.history is not None:
        found |= set(site.history.labels())
    return {"labels": sorted(found)}


def health(request: Request, site: Site) -> dict[str, Any]:
    """Give the state of sources, sinks and disk."""
    return site.health()


def models(request: Request, site: Site) -> dict[str, Any]:
    """Describe the models that are running."""
    return {"models": site.models}


def metrics(request: Request, site: Site) -> Response:
    """Give metrics for Prometheus."""
    content, media_type = site.metrics()
    return Response(content, media_type=media_type)


def healthz(request: Request, site: Site) -> Response:
    """Answer 200 while every source receives or waits for its device, else 503."""
    fine = site.is_alive()
    return JSONResponse({"status": "ok" if fine else "failed"}, 200 if fine else 503)


def openapi(request: Request, site: Site) -> dict[str, Any]:
    """Give this description."""
    return describe([(e.method, e.path, e.needs, e.handler.__doc__ or "") for e in ROUTES], site)


ROUTES = (
    Endpoint("GET", "/api", "", info),
    Endpoint("POST", "/api/login", "", login),
    Endpoint("POST", "/api/logout", "", logout),
    Endpoint("GET", "/api/sources", "read", sources),
    Endpoint("GET", "/api/sources/{name}/spectrum", "read", spectrum),
    Endpoint("GET", "/api/sources/{name}/audio", "audio", audio),
    Endpoint("GET", "/api/stream", "read", events_stream),
    Endpoint("GET", "/api/events", "read", events),
    Endpoint("GET", "/api/events/{id}", "read", event),
    Endpoint("PUT", "/api/events/{id}/verdict", "write", verdict),
    Endpoint("GET", "/api/events/{id}/clip", "read", clip),
    Endpoint("GET", "/api/events/{id}/picture", "read", picture),
    Endpoint("GET", "/api/days", "read", days),
    Endpoint("GET", "/api/days/{day}", "read", day),
    Endpoint("GET", "/api/levels", "read", levels),
    Endpoint("GET", "/api/labels", "read", labels),
    Endpoint("GET", "/api/health", "read", health),
    Endpoint("GET", "/api/models", "read", models),
    Endpoint("GET", "/api/openapi.json", "", openapi),
    Endpoint("GET", "/metrics", "read", metrics),
    Endpoint("GET", "/healthz", "", healthz),
)


def routes(site: Site, endpoints: tuple[Endpoint, ...] = ROUTES) -> list[Route]:
    """Make Starlette's routes."""
    return [
        Route(e.path, bound(site, e), methods=[e.method], name=e.handler.__name__)
        for e in endpoints
    ]


def bound(site: Site, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Check the right, call the handler, and turn errors into answers."""
    is_async = inspect.iscoroutinefunction(endpoint.handler)

    @functools.wraps(endpoint.handler)
    async def call(request: Request) -> Response:
        rights: Rights = request.state.rights
        if endpoint.needs and not getattr(rights, endpoint.needs):
            return refusal(rights, endpoint.needs)
        try:
            if is_async:
                answer = await endpoint.handler(request, site)
            else:
                answer = await run_in_threadpool(endpoint.handler, request, site)
        except ArgumentError as error:
            return problem(400, str(error))
        except AudiocnnError as error:
            return problem(503, str(error), headers={"Retry-After": "5"})
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return call


def refusal(rights: Rights, needs: str) -> Response:
    """Answer 401 if a token would help, 403 if this one is not enough."""
    if needs == "audio":
        return problem(403, "live sound is not allowed", "the owner may set [web] live_audio")
    if needs == "write" and rights.read:
        return problem(403, "changes need the owner's token", "sign in with it")
    return problem(401, "a token is needed", "sign in", {"WWW-Authenticate": "Bearer"})


def history_of(site: Site) -> History:
    """Give the history, or answer that nothing is stored."""
    if site.history is None:
        raise HTTPException(404, "nothing is stored: the settings have no [sqlite]")
    return site.history


def found_event(found: dict[str, Any] | None) -> dict[str, Any]:
    """Answer 404 where there is no event."""
    if found is None:
        raise HTTPException(404, "no event with this id")
    return found


async def read_json(request: Request) -> dict[str, Any]:
    """Read the body, a JSON object."""
    with contextlib.suppress(ValueError, UnicodeDecodeError, RecursionError):
        try:
            content = json.loads(await request.body())
        except ClientDisconnect:
            raise HTTPException(413, "the body is too long") from None
        if isinstance(content, dict):
            return content
    raise ArgumentError("the body must be a JSON object")


def moment(request: Request, name: str) -> str:
    """Read a time of the query as the database has it; empty if it is not given."""
    text = request.query_params.get(name, "")
    if not text:
        return ""
    try:
        when = datetime.fromisoformat(text)
        return timestamp(when.astimezone(UTC).timestamp())
    except (ValueError, OverflowError, OSError):
        raise ArgumentError(
            f"{name} must be a time such as 2026-11-28T12:00:00Z, got {text[:40]!r}"
        ) from None


def number(request: Request, name: str, default: float, low: float, high: float) -> float:
    """Read a number of the query."""
    text = request.query_params.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ArgumentError(f"{name} must be between {low:g} and {high:g}, got {text[:40]!r}")
    return value


def tz_of(request: Request) -> str:
    """Give the time zone of the query."""
    return request.query_params.get("tz", "") or "UTC"


def is_recent(text: str) -> bool:
    """Whether an event is so new that its clip may still be written."""
    return datetime.now(UTC).timestamp() - datetime.fromisoformat(text).timestamp() < 120
