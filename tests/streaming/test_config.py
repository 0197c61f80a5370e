"""A file of settings: what it may say, and what it hears if it says something else."""

import configparser
import inspect
import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audiocnn.errors import ArgumentError
from audiocnn.inference.events import EventRule
from audiocnn.streaming.config import (
    SINKS,
    ListenSettings,
    PrivacySettings,
    Settings,
    SourceSettings,
    _class_of,
    change_rules,
    keys_of,
    make_sinks,
    read_settings,
    source_name,
)
from audiocnn.streaming.sinks.base import MessageFilter
from audiocnn.streaming.sinks.clip_folder import ClipLimits
from audiocnn.streaming.sinks.dispatcher import SinkDispatcher
from tests.live_messages import event

ALL = """
[listen]
model = "environment"
device = "USB Audio"
record = "heard.wav"
hop = 0.25
heartbeat = "1 min"
scores = true

[rules]
cooldown = "2 s"

[rules.dog]
on = 0.7
smooth = 1

[jsonl]
path = "log/events.jsonl"
max_size = "10 MB"
keep = 3
types = ["onset", "event", "gap", "session", "heartbeat"]

[sqlite]
path = "sounds.db"
max_age = "90 days"

[clips]
folder = "clips"
pre = 1.5
per_label = 50
max_size = "1.5 GB"
labels = ["dog"]
min_score = 0.8

[[command]]
arguments = ["true", "{label}"]
labels = ["dog"]

[[command]]
name = "second"
arguments = ["true"]
types = ["gap"]

[webhook]
url = "http://127.0.0.1:9/hook"
secret_env = "MY_WEBHOOK_SECRET"
"""


def settings_of(folder: Path, text: str) -> Settings:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path)


def test_all_that_can_be_said(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, ALL)
    assert settings.listen == ListenSettings(
        model="environment",
        device="USB Audio",
        record=tmp_path / "heard.wav",
        hop=0.25,
        heartbeat=60.0,
        scores=True,
    )
    assert settings.rules == {"": {"cooldown": 2.0}, "dog": {"on": 0.7, "smooth": 1}}
    options = {str(sink.options["name"]): sink.options for sink in settings.sinks}
    assert list(options) == ["jsonl", "sqlite", "clips", "command 1", "second", "webhook"]
    assert options["jsonl"]["max_size"] == 10_000_000
    assert options["jsonl"]["path"] == tmp_path / "log" / "events.jsonl"
    assert options["sqlite"]["max_age"] == 90 * 86400
    assert options["clips"]["limits"] == ClipLimits(per_label=50, max_size=1_500_000_000)
    assert options["clips"]["wants"] == MessageFilter(("event",), ("dog",), 0.8)
    assert options["command 1"]["wants"] == MessageFilter(("event",), ("dog",))
    assert options["second"]["wants"] == MessageFilter(("gap",))


def test_the_sinks_are_made_and_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_WEBHOOK_SECRET", "x")
    settings = settings_of(tmp_path, ALL)
    with SinkDispatcher(make_sinks(settings, {"garden": ["dog", "cat"]})) as out:
        out.send(event(1, type="onset"))
    assert json.loads((tmp_path / "log" / "events.jsonl").read_text())["id"] == "s-1"
    with closing(sqlite3.connect(tmp_path / "sounds.db")) as connection:
        assert connection.execute("SELECT id FROM events").fetchall() == [("s-1",)]
    assert (tmp_path / "clips").is_dir()


def test_mqtt_is_told_the_labels(tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed: audiocnn[mqtt]")
    settings = settings_of(tmp_path, '[mqtt]\nhost = "127.0.0.1"\nport = 9\nnode = "attic"\n')
    (sink,) = make_sinks(settings, {"garden": ["dog", "cat"]})
    assert sink._labels_of == {"garden": ["dog", "cat"]}  # type: ignore[attr-defined]
    sink.close()


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "")
    assert settings == Settings(path=str(tmp_path / "settings.toml"))
    assert make_sinks(settings) == []
    rules = {"dog": EventRule()}
    assert change_rules(settings, rules) == rules


def test_rules_are_changed(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, ALL)
    rules = {"dog": EventRule(on=0.6, off=0.4), "cat": EventRule(cooldown=9.0)}
    assert change_rules(settings, rules) == {
        "dog": EventRule(on=0.7, off=0.7 * 0.4 / 0.6, smooth=1, cooldown=2.0),
        "cat": EventRule(cooldown=2.0),
    }
    with pytest.raises(ArgumentError, match=r"no label of the model 'dog' .did you mean 'dogs'"):
        change_rules(settings, {"dogs": EventRule()})
    wrong = settings_of(tmp_path, "[rules.dog]\non = 0.1\noff = 0.2\n")
    with pytest.raises(ArgumentError, match=r"of 'dog': a rule needs 0 < off <= on <= 1"):
        change_rules(wrong, rules)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[webhok]",
            "no setting 'webhok' (did you mean 'webhook'?); there are: listen, source, rules,",
        ),
        ("model = 'x'", "no setting 'model'"),
        ("[listen]\nmodle = 'x'", "[listen] no setting 'modle' (did you mean 'model'?)"),
        ("[listen]\nhop = 'often'", "[listen] 'hop' must be a number, or a text with a unit: ms,"),
        ("[listen]\nhop = '3 MB'", "'hop' must be a number"),
        ("[listen]\nhop = true", "'hop' must be a number"),
        ("[listen]\nhop = nan", "'hop' must be a number"),
        ("[listen]\njson = 1", "'json' must be true or false, found 1"),
        ("[listen]\ndevice = 1.5", "'device' must be a number or a text, found 1.5"),
        ("[listen]\ndevice = true", "'device' must be a number or a text, found True"),
        ("listen = 3", "[listen] must be a table of settings, found 3"),
        ("[[listen]]\nhop = 1", "[listen] must be a table of settings"),
        ("[rules]\nonn = 0.5", "[rules] no setting 'onn' (did you mean 'on'?)"),
        ("[rules.dog]\non = 'high'", "[rules.dog] 'on' must be a number"),
        ("[jsonl]", "[jsonl] needs 'path'"),
        ("[jsonl]\npath = 3", "'path' must be a path or a text, found 3"),
        ("[jsonl]\npath = 'x'\nmax_size = '3 XB'", "'max_size' must be a number, or a text with"),
        ("[jsonl]\npath = 'x'\nmax_size = 1.5", "'max_size' needs a unit (B, kB, MB, GB, TB)"),
        ("[clips]\nfolder = 'x'\nmax_size = 1", "as '2 GB'; found 1"),
        ("[sqlite]\npath = 'x'\nmax_age = 90", "'max_age' needs a unit (ms, s, min, h, day, days)"),
        ("[[source]]\nnmae = 'a'", "[source] no setting 'nmae' (did you mean 'name'?)"),
        ("[[source]]\n[[source]]", "two sources have the name 'microphone'"),
        ("[[source]]\nname = 'a/b'", "'name' must have 1 to 60 characters, without /, + and #"),
        ("[[source]]\ndevice = 1\ninput = 'a'", "takes 'device' or 'input', not both"),
        ("[[source]]\npassword = 'p'", "(did you mean 'password_env'?)"),
        ("[[source]]\ntransport = 'http'", "'transport' must be \"tcp\" or \"udp\", found 'http'"),
        ("[listen]\ninput = 'a'\n[[source]]", "put them into a [[source]]"),
        ("[privacy]\nspeech = 'no'", '\'speech\' must be "drop" or "mute" or "keep"'),
        ("[jsonl]\npath = 'x'\nkeep = '3 GB'", "'keep' must be a number, found '3 GB'"),
        ("[jsonl]\npath = 'x'\ntypes = ['events']", "no type of message 'events'"),
        ("[clips]\nfolder = 'x'\nper_label = -1", "[clips] per_label must be 0 or more, got -1"),
        ("[clips]\nfolder = 'x'\nlimits = 1", "[clips] no setting 'limits'"),
        ("[command]\narguments = 'rm'", "'arguments' must be a list of texts, found 'rm'"),
        ("[[command]]\n[[command]]\nx = 1", "[[command]] 1: needs 'arguments'"),
        ("[mqtt]\nhost = 'h'\npassword = 'p'", "'password': secrets are taken from the env"),
        ("[mqtt]\nhost = 'h'\npassword = 'p'", "(did you mean 'password_env'?)"),
        ("[webhook]\nurl = 'http://h'\nAPI_key = 'p'", "secrets are taken from the environment"),
        ("[listen\n", "cannot be read: "),
        ("[rules.Käuzchen]\non = 0.9", 'names with such letters need quotes: "Käuzchen"'),
        ("a = 'ä'\nb", "cannot be read: "),
    ],
)
def test_wrong_settings_are_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        settings_of(tmp_path, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "settings.toml"))


def test_a_file_that_is_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"no such settings file: .*none.toml"):
        read_settings(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArgumentError, match=r"bytes.toml cannot be read"):
        read_settings(tmp_path / "bytes.toml")
    with pytest.raises(ArgumentError, match="cannot be read"):
        read_settings(tmp_path)


def test_sinks_that_cannot_be_made_are_said(tmp_path: Path) -> None:
    text = '[jsonl]\npath = "x"\n[webhook]\nurl = "http://h"\nsecret_env = "NOT_SET"\n'
    with pytest.raises(ArgumentError, match=r"settings.toml: webhook: .*'NOT_SET' is not set"):
        make_sinks(settings_of(tmp_path, text))
    text = '[jsonl]\npath = "x"\nlabels = ["dgo"]\n'
    with pytest.raises(ArgumentError, match=r"no label of the model 'dgo' .did you mean 'dog'"):
        make_sinks(settings_of(tmp_path, text), {"garden": ["dog", "cat"]})
    text = '[[jsonl]]\npath = "x"\nname = "a"\n[[jsonl]]\npath = "y"\nname = "a"\n'
    with pytest.raises(ArgumentError, match="two sinks have one name"):
        SinkDispatcher(make_sinks(settings_of(tmp_path, text)))


@pytest.mark.parametrize("kind", SINKS)
def test_each_parameter_of_a_sink_is_in_its_docstring(kind: str) -> None:
    made = _class_of(kind)
    text = inspect.getdoc(made) or ""
    for name in inspect.signature(made).parameters:
        assert name in text, f"{made.__name__}: {name}"


def test_stdin_is_no_file(tmp_path: Path) -> None:
    listen = settings_of(tmp_path, '[listen]\ninput = "-"\nrate = 48000\nformat = "s16"').listen
    assert (listen.input, listen.rate, listen.format) == ("-", 48000, "s16")


def test_the_home_folder_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (sink,) = settings_of(tmp_path, '[jsonl]\npath = "~/events.jsonl"\n').sinks
    assert sink.options["path"] == tmp_path / "events.jsonl"


def test_the_unit_starts_what_there_is() -> None:
    path = Path(__file__).parents[2] / "scripts" / "audiocnn.service"
    unit: Any = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(path, encoding="utf-8")
    command = unit["Service"]["ExecStart"].split()
    assert [os.path.basename(command[0]), *command[1:3]] == ["audiocnn", "listen", "--settings"]
    assert unit["Service"]["Restart"] == "always"


def test_sources(tmp_path: Path) -> None:
    text = """
[[source]]
name = "garden"
device = "USB"
level_offset = 94
[[source]]
input = "rtsp://me@camera.local:8554/a/b?key=1"
timeout = "5 s"
[[source]]
input = "night.flac"
realtime = true
[privacy]
speech = "drop"
"""
    settings = settings_of(tmp_path, text)
    garden, camera, night = settings.sources
    assert garden == SourceSettings(name="garden", device="USB", level_offset=94.0)
    assert camera.input == "rtsp://me@camera.local:8554/a/b?key=1"
    assert camera.timeout == 5.0
    assert night.input == str(tmp_path / "night.flac")
    names = [source_name(source) for source in settings.sources]
    assert names == ["garden", "camera.local:8554-a-b", "night"]
    assert settings.privacy == PrivacySettings(speech="drop")


def test_a_unit_is_asked_of_the_key_and_not_of_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "freeman-size"
    folder.mkdir()
    with pytest.raises(ArgumentError, match="'keep' must be a number, found '5 kB'"):
        settings_of(folder, "[jsonl]\npath = 'x'\nkeep = '5 kB'")


def test_sections_of_others(tmp_path: Path) -> None:
    class Web(msgspec.Struct, frozen=True):
        port: int = 8080

    path = tmp_path / "settings.toml"
    path.write_text("[web]\nport = 9000\n")
    assert read_settings(path).sections == {}
    assert read_settings(path, {"web": Web}).sections["web"] == Web(9000)
    path.write_text("[web]\nprot = 9000\n")
    with pytest.raises(ArgumentError, match=r"\[web\] no setting 'prot' .did you mean 'port'"):
        read_settings(path, {"web": Web})


DOCS = Path(__file__).parents[2] / "docs" / "listen.md"
SHARED_KEYS = {"name", "types", "labels", "min_score"}


def documented_keys(section: str) -> set[str]:
    """Give the keys in the first column of a section's table in docs/listen.md."""
    heading = {
        "source": "[[source]]",
        "rules": "[rules] and [rules.LABEL]",
        "": "Keys of all sinks",
    }
    text = DOCS.read_text(encoding="utf-8").split(
        f"\n### {heading.get(section, f'[{section}]')}\n"
    )[1]
    rows = [line for line in text.split("\n## ")[0].split("\n### ")[0].splitlines() if "|" in line]
    return {key for row in rows for key in re.findall(r"`(\w+)`", row.split("|")[1])}


@pytest.mark.parametrize("section", ["listen", "source", "privacy", "rules", *SINKS])
def test_every_key_is_documented(section: str) -> None:
    keys = set(keys_of(section))
    if section in SINKS:
        assert keys >= SHARED_KEYS
        keys -= SHARED_KEYS
    assert documented_keys(section) == keys


def test_the_keys_of_all_sinks_are_documented() -> None:
    assert documented_keys("") == SHARED_KEYS


def test_the_documented_settings_are_read(tmp_path: Path) -> None:
    text = DOCS.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    settings = settings_of(tmp_path, text)
    assert [source_name(source) for source in settings.sources] == ["garden", "street"]
    assert {sink.kind for sink in settings.sinks} == set(SINKS)
