"""The OpenAPI description of the API, made from its list of paths."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiocnn.web.site import Site

TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
TIME = {"type": "string", "format": "date-time"}
DAY = {"type": "string", "format": "date"}
MAYBE = {"type": ["number", "null"]}

EVENT = {
    "type": "object",
    "required": ["id", "source", "time", "label"],
    "properties": {
        "id": TEXT, "source": TEXT, "time": TIME, "label": TEXT,
        "start": {**NUMBER, "description": "seconds since the session began"},
        "end": {**MAYBE, "description": "null while the sound lasts"},
        "score": MAYBE,
        "verdict": {"enum": ["right", "wrong", "other", None]},
        "verdict_label": {"type": ["string", "null"], "description": "the true label"},
        "verdict_time": {"type": ["string", "null"]},
        "has_clip": FLAG,
    },
}  # fmt: skip

# Query parameters of each path: name, schema, description.
Parameter = tuple[str, dict[str, Any], str]
SOURCE: Parameter = ("source", TEXT, "of this source only")
ZONE: Parameter = ("tz", TEXT, "time zone, as Europe/Berlin; UTC if left out")
FROM_TO: tuple[Parameter, ...] = (
    ("from", TIME, "began at or after"), ("to", TIME, "began before"),
)  # fmt: skip
SIZE: tuple[Parameter, ...] = (
    ("width", NUMBER, "pixels, 16 to 2000"), ("height", NUMBER, "pixels, 16 to 512"),
)  # fmt: skip
PARAMETERS: dict[str, tuple[Parameter, ...]] = {
    "/api/stream": (
        ("types", TEXT, "some of onset, event, gap, session, verdict, scores, level, spectrum, "
                        "heartbeat, with commas between them; all if left out"),
        SOURCE, ("last_id", TEXT, "instead of the header Last-Event-ID"),
    ),
    "/api/events": (
        ("label", TEXT, "of this label; may be repeated"), SOURCE, *FROM_TO,
        ("min_score", NUMBER, "0 to 1"),
        ("verdict", TEXT, "right, wrong, other, none (not judged) or any"),
        ("clip", FLAG, "true: with sound only"),
        ("limit", NUMBER, "1 to 500, 50 if left out"),
        ("cursor", TEXT, "`next` of the answer before"),
    ),
    "/api/events/{id}/picture": SIZE,
    "/api/days": (("from", DAY, "first day"), ("to", DAY, "last day"), ZONE, SOURCE),
    "/api/days/{day}": (ZONE, SOURCE),
    "/api/levels": (SOURCE, *FROM_TO),
}  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "/api/login": {"type": "object", "required": ["token"], "properties": {"token": TEXT}},
    "/api/events/{id}/verdict": {
        "type": "object", "required": ["verdict"],
        "properties": {
            "verdict": {"enum": ["right", "wrong", "other", None],
                        "description": "null takes a verdict back"},
            "label": {**TEXT, "description": "the true label, with verdict other"},
        },
    },
}  # fmt: skip
MEDIA = {
    "/api/sources/{name}/audio": "audio/wav",
    "/api/stream": "text/event-stream",
    "/api/events/{id}/clip": "audio/flac",
    "/api/events/{id}/picture": "image/png",
    "/metrics": "text/plain",
}
EVENTS = {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}
SCHEMAS: dict[str, dict[str, Any]] = {
    "/api/events": {
        "type": "object",
        "properties": {"events": EVENTS, "next": {"type": ["string", "null"]}},
    },
    "/api/events/{id}": {"$ref": "#/components/schemas/Event"},
    "/api/events/{id}/verdict": {"$ref": "#/components/schemas/Event"},
}


def describe(endpoints: Iterable[tuple[str, str, str, str]], site: Site) -> dict[str, Any]:
    """Describe an API.

    Parameters
    ----------
    endpoints
        (method, path, the right that it needs, what it does).
    site
        For its title, version and prefix.
    """
    paths: dict[str, dict[str, Any]] = {}
    for method, path, needs, what in endpoints:
        paths.setdefault(path, {})[method.lower()] = _operation(path, needs, what)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"audiocnn: {site.title}", "version": site.version},
        "servers": [{"url": site.access.settings.base_path or "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Event": EVENT, "Problem": {
                "type": "object", "properties": {"error": TEXT, "remedy": TEXT},
            }},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": site.access.cookie_name},
            },
        },
    }  # fmt: skip


def _operation(path: str, needs: str, what: str) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": TEXT}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    parameters += [
        {"name": name, "in": "query", "schema": schema, "description": text}
        for name, schema, text in PARAMETERS.get(path, ())
    ]
    schema = SCHEMAS.get(path, {"type": "object"})
    media = MEDIA.get(path, "application/json")
    content = {media: {"schema": schema} if media == "application/json" else {}}
    wrong = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    found: dict[str, Any] = {
        "summary": what.strip().splitlines()[0],
        "parameters": parameters,
        "responses": {
            "200": {"description": "done", "content": content},
            "default": {"description": "what is wrong, and what to do", "content": wrong},
        },
        "security": [{"token": []}, {"cookie": []}] if needs else [],
    }
    if path in BODIES:
        found["requestBody"] = {"content": {"application/json": {"schema": BODIES[path]}}}
    return found
