"""A session's settings in a TOML file: sources, rules, privacy, and where messages go.

    [listen]                        # what `audiocnn listen` also takes as options
    model = "environment"
    [[source]]                      # one table for each thing to listen to
    name = "garden"
    input = "rtsp://camera.local/audio"
    [rules.dog]                     # over the model's own rules; [rules] is for all
    on = 0.7
    [sqlite]                        # a table for each sink; [[webhook]] for several
    path = "sounds.db"              # relative to this file
    max_age = "90 days"

Everything is checked before listening begins. Keys of a sink's table are the parameters of
the sink itself, so there is no second list of them. Secrets are refused here: they come
from the environment.
"""

from __future__ import annotations

import importlib
import inspect
import math
import re
import tomllib
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from audiocnn.errors import ArgumentError, did_you_mean
from audiocnn.inference.events import EventRule
from audiocnn.streaming.messages import EventMessage
from audiocnn.streaming.session import SoundFetcher
from audiocnn.streaming.sinks.base import MessageFilter, Sink
from audiocnn.streaming.units import Seconds, parse_quantity, units_of

SINKS = {
    "clips": "Clips",
    "command": "Command",
    "sqlite": "SqliteSink",
    "jsonl": "JsonLines",
    "mqtt": "Mqtt",
    "webhook": "Webhook",
}
UNQUOTED = re.compile(r"(?m)^\s*\[[^\]\"'#]*?([\w-]*[^\x00-\x7f][\w-]*)[^\]\"'#]*\]")
INTERNAL = {"sound_of", "labels_of"}  # parameters of sinks that are no settings
SECRETS = re.compile(r"(?i).*(password|secret|token|api_?key)$")
NAME = re.compile(r"[^\x00-\x1f/+#]{1,60}")  # fits into MQTT topics and file names


class ListenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``[listen]``: defaults of all sources; None where it says nothing.

    Parameters
    ----------
    model
        Name or folder of the model.
    classes
        Which of its classes; all if it says nothing. Names, or the path of a file with them.
    device
        Microphone, by name or number.
    input
        Instead of a microphone: a recording, a URL, or ``-`` for samples on stdin.
    rate, channels, format
        Of the samples on stdin.
    record
        File that keeps what is received.
    hop, seconds, heartbeat
        Seconds between scores, of the whole session, between heartbeats.
    realtime, json, scores, explain
        As the command line's options.
    level
        Whether the sound level is measured; by default where there is a settings file.
    """

    model: str | None = None
    classes: str | tuple[str, ...] | None = None
    device: str | int | None = None
    input: str | None = None
    rate: float | None = None
    channels: int | None = None
    format: Literal["s16", "f32", "csv"] | None = None
    record: Path | None = None
    hop: Seconds | None = None
    seconds: Seconds | None = None
    heartbeat: Seconds | None = None
    realtime: bool | None = None
    json: bool | None = None
    scores: bool | None = None
    explain: bool | None = None
    level: bool | None = None


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A table ``[[source]]``: one thing to listen to.

    Parameters
    ----------
    name
        Unique; in every message, row, clip and topic. Made of device or input if empty.
    model, classes, hop
        Instead of those of ``[listen]``.
    device
        Microphone, by name or number.
    input
        Instead of a microphone: a recording, a URL (rtsp, http, https), or ``-`` for samples
        on stdin.
    rate, channels, format
        Of the samples on stdin; ``channels`` also of the microphone.
    record
        File that keeps what is received.
    realtime
        Whether a recording is read no faster than it sounds.
    level
        Whether the sound level is measured.
    level_offset
        Calibration: dB SPL of a signal whose RMS is full scale. Levels are "uncalibrated"
        (dB re full scale) without it.
    on_move
        When the sound server moves the stream to another microphone: ``"wait"`` until the
        right one is back, or ``"follow"``.
    user, password_env
        For a URL: user name, and environment variable with the password.
    transport, audio_only
        Of RTSP: ``"tcp"`` or ``"udp"``; whether to ask for sound alone, which saves bandwidth
        and which some cameras refuse.
    timeout
        Seconds without data after which a URL is opened again.
    """

    name: str = ""
    model: str | None = None
    classes: str | tuple[str, ...] | None = None
    hop: Seconds | None = None
    device: str | int | None = None
    input: str | None = None
    rate: float | None = None
    channels: int | None = None
    format: Literal["s16", "f32", "csv"] | None = None
    record: Path | None = None
    realtime: bool = False
    level: bool | None = None
    level_offset: float | None = None
    on_move: Literal["wait", "follow"] = "wait"
    user: str = ""
    password_env: str = "AUDIOCNN_INPUT_PASSWORD"
    transport: Literal["tcp", "udp"] = "tcp"
    audio_only: bool = False
    timeout: Seconds = 10.0


class PrivacySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The section ``[privacy]``.

    Parameters
    ----------
    speech
        ``"drop"``: no clip with speech is kept. ``"mute"``: speech is silenced in clips,
        recordings and live audio. ``"keep"``: speech is kept like any other sound.
    threshold
        Probability from which the voice activity detector's answer counts as speech.
    margin
        Seconds before and after speech that count as speech too.
    """

    speech: Literal["drop", "mute", "keep"] | None = None
    threshold: float = 0.05
    margin: Seconds = 1.0


SECTIONS: dict[str, type[msgspec.Struct]] = {"listen": ListenSettings, "privacy": PrivacySettings}


@dataclass(frozen=True)
class SinkSettings:
    """One sink: its kind (a key of `SINKS`), and the options to make it with."""

    kind: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Settings:
    """The content of a settings file.

    Parameters
    ----------
    listen, privacy
        The sections of these names.
    sources
        The tables ``[[source]]``.
    rules
        Changed values of `EventRule` by label, and under ``""`` for all labels.
    sinks
        In the order of the file.
    sections
        Sections of other packages (``web``), decoded by the types given to `read_settings`.
    path
        The file, for messages; empty if there is none.
    """

    listen: ListenSettings = field(default_factory=ListenSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    sources: Sequence[SourceSettings] = ()
    rules: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sinks: Sequence[SinkSettings] = ()
    sections: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""


def read_settings(
    path: str | Path, sections: Mapping[str, type[msgspec.Struct]] | None = None
) -> Settings:
    """Read a settings file and check it.

    Parameters
    ----------
    path
        A TOML file. Paths in it are relative to its folder.
    sections
        Types of further sections; ``web`` is passed over without.

    Raises
    ------
    ArgumentError
        If the file cannot be read, or something in it is unknown, missing or of the
        wrong type; says where, and what was probably meant.
    """
    path, extra = Path(path), dict(sections or {})
    content = _read_toml(path)
    known = ["listen", "source", "rules", "privacy", *SINKS, *dict.fromkeys([*extra, "web"])]
    sinks: list[SinkSettings] = []
    sources: list[SourceSettings] = []
    others: dict[str, Any] = {}
    for kind, value in content.items():
        if kind not in known:
            raise _unknown(f"{path}:", kind, known)
        is_many = isinstance(value, list) and (kind in SINKS or kind == "source")
        tables = value if is_many else [value]
        for number, table in enumerate(tables, start=1):
            place = f"{path}: [{kind}]" if len(tables) == 1 else f"{path}: [[{kind}]] {number}:"
            if not isinstance(table, dict):
                raise ArgumentError(f"{place} must be a table of settings, found {table!r}")
            if kind in SINKS:
                name = kind if len(tables) == 1 else f"{kind} {number}"
                sinks.append(_read_sink(place, kind, {"name": name, **table}, path.parent))
            elif kind == "source":
                sources.append(_read_struct(place, table, SourceSettings, path.parent))
            elif kind in extra or kind in SECTIONS:
                struct = extra.get(kind) or SECTIONS[kind]
                others[kind] = _read_struct(place, table, struct, path.parent)
    rules = _read_rules(f"{path}: [rules", content.get("rules", {}))
    listen, privacy = (others.pop(name, struct()) for name, struct in SECTIONS.items())
    settings = Settings(
        listen, privacy, tuple(sources), rules, tuple(sinks), others, str(path)
    )  # fmt: skip
    _check_sources(settings)
    return settings


def _read_toml(path: Path) -> dict[str, Any]:
    text = ""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return tomllib.loads(text)
    except FileNotFoundError:
        raise ArgumentError(f"no such settings file: {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        quotes = ""
        if match := UNQUOTED.search(text):
            quotes = f'; names with such letters need quotes: "{match[1]}"'
        raise ArgumentError(f"{path} cannot be read: {error}{quotes}") from error


def _check_sources(settings: Settings) -> None:
    names = [source_name(source) for source in settings.sources]
    for number, (source, name) in enumerate(zip(settings.sources, names, strict=True), start=1):
        place = f"{settings.path}: [[source]] {number}:"
        if source.device is not None and source.input is not None:
            raise ArgumentError(f"{place} takes 'device' or 'input', not both")
        if not NAME.fullmatch(name):
            raise ArgumentError(
                f"{place} 'name' must have 1 to 60 characters, without /, + and #: {name!r}"
            )
        if names.count(name) > 1:
            raise ArgumentError(f"{place} two sources have the name {name!r}: give each a 'name'")
    listen = settings.listen
    if settings.sources and (listen.device is not None or listen.input is not None):
        raise ArgumentError(
            f"{settings.path}: [listen] 'device' and 'input' are for a single source: put them"
            " into a [[source]]"
        )


def source_name(source: SourceSettings) -> str:
    """Give the name of a source: its own, or one made of its device or input."""
    if source.name:
        return source.name
    if source.input == "-":
        return "stdin"
    if source.input and "://" in source.input:
        rest = source.input.partition("://")[2].rpartition("@")[2].partition("?")[0]
        return re.sub(r"[/+#\x00-\x1f]+", "-", rest).strip("-")[:60] or "stream"
    if source.input:
        return re.sub(r"[+#\x00-\x1f]+", "-", Path(source.input).stem)[:60] or "recording"
    if source.device is None:
        return "microphone"
    return re.sub(r"[/+#\x00-\x1f]+", "-", str(source.device))[:60] or "microphone"


def change_rules(settings: Settings, rules: Mapping[str, EventRule]) -> dict[str, EventRule]:
    """Put the settings' values into a model's rules.

    An ``on`` that is given alone moves ``off`` along, which keeps its share of it.

    Raises
    ------
    ArgumentError
        If a label is none of the model's, or a rule would make no sense.
    """
    for label in settings.rules:
        if label and label not in rules:
            place = f"{settings.path}: [rules.{label}]"
            raise _unknown(place, label, list(rules), "label of the model")
    common = settings.rules.get("", {})
    changed = {}
    for label, rule in rules.items():
        try:
            for part in (common, settings.rules.get(label, {})):
                if "on" in part and "off" not in part:
                    off = min(part["on"], part["on"] * rule.off / rule.on)
                    part = {**part, "off": off}
                rule = replace(rule, **part)
            changed[label] = rule
        except ArgumentError as error:
            raise ArgumentError(f"{settings.path}: [rules] of {label!r}: {error}") from error
    return changed


def make_sinks(
    settings: Settings,
    labels_of: Mapping[str, Sequence[str]] | None = None,
    sound_of: Callable[[EventMessage], SoundFetcher | None] | None = None,
) -> list[Sink]:
    """Make the sinks of a settings file.

    Parameters
    ----------
    settings
        As read.
    labels_of
        The labels of each source's model; sinks may choose among them only.
    sound_of
        Gives the sound that an event's clip is cut from; None if there is none.

    Raises
    ------
    ArgumentError
        If one cannot be made: a program, a variable or a package is missing. Those
        made before it are closed.
    """
    labels = list(dict.fromkeys(x for some in (labels_of or {}).values() for x in some))
    internal: dict[str, dict[str, Any]] = {
        "clips": {"sound_of": sound_of},
        "mqtt": {"labels_of": labels_of},
    }
    sinks: list[Sink] = []
    try:
        for sink in settings.sinks:
            wants = sink.options.get("wants", MessageFilter())
            for label in wants.labels if labels else ():
                if label not in labels:
                    place = f"{settings.path}: [{sink.kind}] labels:"
                    raise _unknown(place, label, labels, "label of the model")
            made = _class_of(sink.kind)
            sinks.append(made(**internal.get(sink.kind, {}), **sink.options))
    except ArgumentError as error:
        for opened in sinks:
            opened.close()
        raise ArgumentError(f"{settings.path}: {error}") from error
    return sinks


def keys_of(section: str) -> tuple[str, ...]:
    """List the keys that a section of a settings file takes.

    Raises
    ------
    KeyError
        If there is no such section.
    """
    if section == "rules":
        return tuple(item.name for item in fields(EventRule))
    if section == "source":
        return SourceSettings.__struct_fields__
    if section in SECTIONS:
        return SECTIONS[section].__struct_fields__
    hints, groups = _sink_hints(_class_of(section))
    return (*hints, *(key for group in groups.values() for key in group))


def _class_of(kind: str) -> Any:
    module = importlib.import_module(f"audiocnn.streaming.sinks.{kind}")
    return getattr(module, SINKS[kind])


def _sink_hints(made: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Give the types of a sink's own options, and of those of what it is made with."""
    hints = typing.get_type_hints(made.__init__, include_extras=True)
    hints = {k: v for k, v in hints.items() if k != "return" and k not in INTERNAL}
    groups = {k: hints.pop(k) for k, v in list(hints.items()) if hasattr(v, "__post_init__")}
    members = {k: typing.get_type_hints(v, include_extras=True) for k, v in groups.items()}
    return hints, members


def _read_sink(place: str, kind: str, table: dict[str, Any], folder: Path) -> SinkSettings:
    made = _class_of(kind)
    parameters = inspect.signature(made).parameters
    hints, members = _sink_hints(made)
    known = dict(hints)
    for group in members.values():
        known |= group
    options = _check(place, table, known, folder)
    for name in hints:
        if parameters[name].default is inspect.Parameter.empty and name not in options:
            raise ArgumentError(f"{place} needs {name!r}")
    for name, group in members.items():
        given = {key: options.pop(key) for key in group if key in options}
        try:
            options[name] = replace(parameters[name].default, **given)
        except ArgumentError as error:
            raise ArgumentError(f"{place} {error}") from error
    return SinkSettings(kind, options)


def _read_struct(place: str, table: dict[str, Any], struct: Any, folder: Path) -> Any:
    hints = typing.get_type_hints(struct, include_extras=True)
    return struct(**_check(place, table, hints, folder))


def _read_rules(place: str, table: dict[str, Any]) -> dict[str, dict[str, float]]:
    hints = {item.name: Seconds if item.name not in ("on", "off") else float
             for item in fields(EventRule)}  # fmt: skip
    parts = {"": {k: v for k, v in table.items() if not isinstance(v, dict)}}
    parts |= {k: v for k, v in table.items() if isinstance(v, dict)}
    return {
        label: _check(f"{place}.{label}]" if label else f"{place}]", part, hints, Path())
        for label, part in parts.items()
        if part
    }


def _check(
    place: str, table: Mapping[str, Any], hints: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Check the names and types of a table's values, and convert them."""
    for key in table:
        if key not in hints and SECRETS.fullmatch(key):
            raise ArgumentError(
                f"{place} {key!r}: secrets are taken from the environment, not from this file;"
                f" name a variable instead{did_you_mean(f'{key}_env', hints)}"
            )
        if key not in hints:
            raise _unknown(place, key, hints)
    return {k: _convert(f"{place} {k!r}", k, v, hints[k], folder) for k, v in table.items()}


def _convert(place: str, key: str, value: Any, hint: Any, folder: Path) -> Any:
    """Convert a value to the type of its key."""
    kinds = set(typing.get_args(hint) or (hint,)) - {type(None)}
    if key == "input" and isinstance(value, str):
        is_file = value != "-" and "://" not in value
        return str(folder / Path(value).expanduser()) if is_file else value
    if Path in kinds:
        if not isinstance(value, str) or not value:
            raise ArgumentError(f"{place} must be {_wanted(hint, {})}, found {value!r}")
        return folder / Path(value).expanduser()
    units, bare = units_of(hint)
    if units and isinstance(value, str):
        number = parse_quantity(value, units)
        value = value if number is None else round(number) if _takes_int(hint) else number
    elif units and not bare and value != 0:
        raise ArgumentError(
            f"{place} needs a unit ({', '.join(units)}), as {_example(units)!r}; found {value!r}"
        )
    try:
        converted = msgspec.convert(value, hint)
    except msgspec.ValidationError:
        converted = None
    is_finite = not isinstance(converted, float) or math.isfinite(converted)
    if converted is None or not is_finite:
        raise ArgumentError(f"{place} must be {_wanted(hint, units)}, found {value!r}")
    return tuple(converted) if isinstance(converted, list) else converted


def _takes_int(hint: Any) -> bool:
    plain = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    return plain is int


def _example(units: Mapping[str, float]) -> str:
    return "2 GB" if "GB" in units else "90 days"


def _wanted(hint: Any, units: Mapping[str, float]) -> str:
    """Name the type that a setting takes, for people."""
    if units:
        return f"a number, or a text with a unit: {', '.join(units)}"
    arguments = [x for x in typing.get_args(hint) if x is not type(None)]
    origin = typing.get_origin(hint)
    if origin is Sequence or hint == Sequence[str]:
        return "a list of texts"
    if origin is Literal:
        return " or ".join(f'"{x}"' for x in arguments)
    if origin is Mapping:
        return "a table of texts"
    named = {bool: "true or false", str: "a text", int: "a number", float: "a number",
             Path: "a path"}  # fmt: skip
    if not arguments:
        return named.get(hint, str(hint))
    return " or ".join(sorted({_wanted(kind, {}) for kind in arguments}))


def _unknown(
    place: str, name: str, known: Mapping[str, Any] | Sequence[str], what: str = "setting"
) -> ArgumentError:
    near, choices = did_you_mean(name, known), ", ".join(known)
    return ArgumentError(f"{place} no {what} {name!r}{near}; there are: {choices}")
