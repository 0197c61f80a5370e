"""The HTTP API against a small database."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("starlette")

from audiocnn.web.api import ROUTES
from tests.web.site import OWNS, client_of
from tests.web.stations import DAY, event, onset


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    with client_of(tmp_path) as found:
        yield found


def get(client: httpx.Client, path: str) -> dict:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_events_newest_first_and_by_pages(client: httpx.Client) -> None:
    keys, cursor, pages = [], "", 0
    while cursor is not None:
        page = get(client, f"/api/events?limit=2&cursor={cursor}")
        keys += [event["id"] for event in page["events"]]
        cursor, pages = page["next"], pages + 1
    assert keys == ["e", "d", "c", "b", "a"]
    assert pages == 3


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("label=dog", "ba"),
        ("label=dog&label=car", "ecba"),
        ("source=street", "ec"),
        ("min_score=0.8", "eca"),
        (f"from={DAY}T05:30:00Z&to={DAY}T07:00:00Z", "cb"),
        (f"from={DAY}T06:30:00%2B01:00&to={DAY}T08:00:00%2B01:00", "cb"),
        ("clip=true", "da"),
        ("verdict=any", ""),
        ("verdict=none&source=garden", "dba"),
    ],
)
def test_event_filters(client: httpx.Client, query: str, keys: str) -> None:
    found = get(client, f"/api/events?{query}")["events"]
    assert "".join(event["id"] for event in found) == keys


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/events?limit=0", "limit must be between 1 and 500"),
        ("/api/events?min_score=nan", "min_score must be between 0 and 1"),
        ("/api/events?from=yesterday", "from must be a time such as"),
        ("/api/events?cursor=abc", "cursor is none that this API gave"),
        ("/api/events?verdict=maybe", "verdict is none, any, right"),
        (f"/api/days/{DAY}?tz=Mars/Olympus", "no time zone 'Mars/Olympus'"),
        ("/api/days/2026-13-01", "a day is written as"),
        ("/api/days?from=2020-01-01&to=2026-01-01", "between 1 and 400 days"),
        ("/api/levels?source=garden", "levels need source, from and to"),
        ("/api/stream?types=secrets", "no type of message 'secrets'"),
        ("/api/events/a/picture?width=100000", "width must be between 16 and 2000"),
    ],
)
def test_bad_requests_say_what_is_wrong(client: httpx.Client, path: str, words: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_verdicts_are_stored_and_taken_back(client: httpx.Client) -> None:
    def put(key: str, content: object) -> tuple[int, dict]:
        answer = client.put(f"/api/events/{key}/verdict", json=content, headers=OWNS)
        return answer.status_code, answer.json()

    status, found = put("a", {"verdict": "other", "label": "fox"})
    assert (status, found["verdict"], found["verdict_label"]) == (200, "other", "fox")
    assert found["verdict_time"].endswith("Z")
    assert [e["id"] for e in get(client, "/api/events?verdict=other")["events"]] == ["a"]
    assert "fox" in get(client, "/api/labels")["labels"]
    assert put("a", {"verdict": "right"})[1]["verdict_label"] is None
    status, found = put("a", {"verdict": None})
    assert (found["verdict"], found["verdict_time"]) == (None, None)
    assert put("nobody", {"verdict": "right"})[0] == 404
    for wrong in ({"verdict": "maybe"}, {"verdict": "other"}, {"verdict": "right", "label": "x"},
                  {"verdict": "other", "label": "x" * 201}, {"verdict": 1}, [1], "x"):  # fmt: skip
        assert put("a", wrong)[0] == 400, wrong


def test_clips_are_given_in_ranges(client: httpx.Client) -> None:
    whole = client.get("/api/events/a/clip")
    assert whole.headers["content-type"] == "audio/flac"
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get("/api/events/a/clip", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    last = client.get("/api/events/a/clip", headers={"Range": "bytes=-50"})
    assert (last.status_code, last.content) == (206, whole.content[-50:])
    assert client.get("/api/events/a/clip", headers={"Range": "bytes=9999999-"}).status_code == 416
    assert get(client, "/api/events/a")["clip"] == {"seconds": 2.0, "offset": 1.5}
    assert client.get("/api/events/b/clip").status_code == 404


def test_a_clip_that_is_being_written_can_be_asked_for_again(
    client: httpx.Client, tmp_path: Path
) -> None:
    from audiocnn.streaming.calendar import timestamp

    with sqlite3.connect(tmp_path / "heard.db") as connection:
        connection.execute(
            "UPDATE events SET clip = 'new.flac', time = ? WHERE id = 'b'", [timestamp()]
        )
    answer = client.get("/api/events/b/clip")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")


def test_pictures_are_png_of_the_size_that_was_asked_for(client: httpx.Client) -> None:
    answer = client.get("/api/events/a/picture?width=200&height=50")
    assert answer.content[:8] == b"\x89PNG\r\n\x1a\n"
    assert answer.content[16:24] == (200).to_bytes(4, "big") + (50).to_bytes(4, "big")
    again = client.get(
        "/api/events/a/picture?width=200&height=50",
        headers={"If-None-Match": answer.headers["etag"]},
    )
    assert again.status_code == 304


def test_days_count_in_the_viewers_time_zone(client: httpx.Client) -> None:
    utc = get(client, f"/api/days?from={DAY}&to={DAY}&tz=UTC")["days"]
    assert utc[0]["counts"] == {"dog": 2, "car": 2, "<script>alert(1)</script>": 1}
    tokyo = get(client, f"/api/days?from={DAY}&to=2026-11-28&tz=Asia/Tokyo")["days"]
    assert [sum(day["counts"].values()) for day in tokyo] == [4, 1]  # 23:30 UTC is the next day


def test_hours_tell_gaps_from_silence(client: httpx.Client) -> None:
    day = get(client, f"/api/days/{DAY}?tz=UTC&source=garden")
    heard = {hour["hour"]: hour["heard"] for hour in day["hours"]}
    assert len(heard) == 24
    assert (heard["03"], heard["04"], heard["05"], heard["06"], heard["12"]) == (0, 1, 0.5, 1, 0)
    assert day["hours"][5]["counts"] == {"dog": 2}
    assert day["gaps"] == [{"source": "garden", "time": f"{DAY}T05:00:00.000Z",
                            "seconds": 1800.0, "reason": "unplugged"}]  # fmt: skip
    both = get(client, f"/api/days/{DAY}?tz=UTC")["hours"]
    assert both[5]["heard"] == 0.75  # the other source had no gap


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_days_on_which_clocks_change(client: httpx.Client, day: str, hours: int) -> None:
    found = get(client, f"/api/days/{day}?tz=Europe/Berlin")["hours"]
    assert len(found) == hours
    assert found[-1]["hour"] == "23"


def test_levels(client: httpx.Client) -> None:
    found = get(client, f"/api/levels?source=garden&from={DAY}T00:00:00Z&to={DAY}T23:00:00Z")
    assert [level["laeq"] for level in found["levels"]] == [40.0, 50.0]
    assert (found["step"], found["calibrated"]) == (60, True)


def test_levels_are_joined_as_energy() -> None:
    from audiocnn.web.sounds import thinned

    rows = [
        {"time": f"{DAY}T05:0{m}:00.000Z", "laeq": laeq, "lafmax": laeq, "l10": laeq, "l90": laeq,
         "calibrated": 0} for m, laeq in enumerate((40.0, 50.0, None, 40.0, 40.0))
    ]  # fmt: skip
    found = thinned(rows, 4)
    assert found["step"] == 300
    (joined,) = found["levels"]
    assert joined["laeq"] == pytest.approx(44.29 + 0.83, abs=0.02)  # 10 log10((3e4 + 1e5) / 4)
    assert (joined["lafmax"], joined["l90"]) == (50.0, 40.0)


def test_metrics_for_prometheus(client: httpx.Client) -> None:
    station = client.it.station
    station.say(event("1", 'a"b\n'))
    station.say(onset("1", "dog"))
    text = client.get("/metrics").text
    assert 'audiocnn_events_total{label="a\\"b\\n",source="garden"} 1.0' in text
    assert 'audiocnn_source_up{source="street"} 1.0' in text
    assert 'audiocnn_onset_latency_seconds_count{source="garden"} 1.0' in text
    assert 'audiocnn_sink_waiting{sink="sqlite"} 0.0' in text


def test_health_and_sources(client: httpx.Client) -> None:
    assert [s["name"] for s in get(client, "/api/sources")["sources"]] == ["garden", "street"]
    assert get(client, "/api/health")["sinks"]["sqlite"]["handled"] == 3
    assert get(client, "/healthz") == {"status": "ok"}
    assert client.get("/api/sources/nobody/spectrum").status_code == 404


def test_openapi_describes_every_path(client: httpx.Client) -> None:
    found = get(client, "/api/openapi.json")
    described = {(method.upper(), path) for path, item in found["paths"].items() for method in item}
    assert described == {(endpoint.method, endpoint.path) for endpoint in ROUTES}
    for item in found["paths"].values():
        for operation in item.values():
            assert operation["summary"].endswith(".")
    assert found["paths"]["/api/events/{id}/verdict"]["put"]["requestBody"]
    assert not found["paths"]["/healthz"]["get"]["security"]


def test_without_a_database_events_are_not_found(client: httpx.Client) -> None:
    client.it.site.history = None
    answer = client.get("/api/events")
    assert (answer.status_code, answer.json()["error"]) == (
        404, "nothing is stored: the settings have no [sqlite]",
    )  # fmt: skip


def test_a_database_that_is_not_there_is_empty(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "heard.db").unlink()
    assert get(client, "/api/events") == {"events": [], "next": None}
    (tmp_path / "heard.db").write_bytes(b"no database" * 100)
    assert client.get("/api/events").status_code == 503
