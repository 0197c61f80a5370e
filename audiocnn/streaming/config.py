"""A session's settings in a TOML file: what to listen to, when a sound counts, where it goes.

    [listen]                        # what `audiocnn listen` also takes as options
    model = "environment"
    [rules.dog]                     # over the model's own rules; [rules] is for all
    on = 0.7
    [sqlite]                        # a table for each sink; [[webhook]] for several
    path = "sounds.db"              # relative to this file
    max_age = "90 days"

Everything is checked before listening begins. Keys are the parameters of the
sinks themselves, so there is no second list of them. Secrets have no place here.
"""

from __future__ import annotations

import importlib
import inspect
import math
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from audiocnn.errors import ArgumentError, did_you_mean
from audiocnn.inference.events import EventRule
from audiocnn.streaming.sinks.base import MessageFilter, Sink

SINKS = {
    "clips": "Clips",
    "command": "Command",
    "sqlite": "SqliteSink",
    "jsonl": "JsonLines",
    "mqtt": "Mqtt",
    "webhook": "Webhook",
}
KINDS = {kind: kind for kind in SINKS}
SECRETS = re.compile(r"(?i).*(password|secret|token|api_?key)$")
QUANTITY = re.compile(r"(\d+(?:\.\d+)?) *([A-Za-z]+)")
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0, "days": 86400.0}
BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


@dataclass(frozen=True)
class ListenSettings:
    """What ``[listen]`` says; None where it says nothing.

    Parameters
    ----------
    model
        Name or folder of the model.
    device
        Microphone, by name or number.
    input
        A file in its stead, or ``-`` for samples on stdin.
    rate, channels, format
        Of the samples on stdin.
    record
        File that keeps what is heard.
    hop, seconds, heartbeat
        Seconds between scores, to listen altogether, between heartbeats.
    realtime, json, scores, explain
        As the command line's options.
    """

    model: str | None = None
    device: str | int | None = None
    input: Path | None = None
    rate: int | None = None
    channels: int | None = None
    format: str | None = None
    record: Path | None = None
    hop: float | None = None
    seconds: float | None = None
    heartbeat: float | None = None
    realtime: bool | None = None
    json: bool | None = None
    scores: bool | None = None
    explain: bool | None = None


@dataclass(frozen=True)
class SinkSettings:
    """One sink: its kind (`KINDS`), and the options to make it with."""

    kind: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Settings:
    """What a file of settings says.

    Parameters
    ----------
    listen
        The session's own settings.
    rules
        Changed values of `EventRule` by label, and under ``""`` for all labels.
    sinks
        In the order of the file.
    path
        The file, for messages; empty if there is none.
    """

    listen: ListenSettings = ListenSettings()
    rules: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sinks: Sequence[SinkSettings] = ()
    path: str = ""


def read_settings(path: str | Path) -> Settings:
    """Read a file of settings and check it.

    Parameters
    ----------
    path
        A TOML file. Paths in it are relative to its folder.

    Raises
    ------
    ArgumentError
        If the file cannot be read, or something in it is unknown, missing or of the
        wrong kind; says where, and what was probably meant.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ArgumentError(f"no such file of settings: {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ArgumentError(f"{path} cannot be read: {error}") from error
    known = ["listen", "rules", *KINDS]
    sinks: list[SinkSettings] = []
    for kind, value in content.items():
        if kind not in known:
            raise _unknown(f"{path}:", kind, known)
        tables = value if isinstance(value, list) and kind in KINDS else [value]
        for number, table in enumerate(tables, start=1):
            place = f"{path}: [{kind}]" if len(tables) == 1 else f"{path}: [[{kind}]] {number}:"
            if not isinstance(table, dict):
                raise ArgumentError(f"{place} must be a table of settings, found {table!r}")
            if kind in KINDS:
                name = kind if len(tables) == 1 else f"{kind} {number}"
                sinks.append(_read_sink(place, kind, {"name": name, **table}, path.parent))
    listen = typing.get_type_hints(ListenSettings)
    options = _check(f"{path}: [listen]", content.get("listen", {}), listen, path.parent)
    rules = _read_rules(f"{path}: [rules", content.get("rules", {}))
    return Settings(ListenSettings(**options), rules, tuple(sinks), str(path))


def change_rules(settings: Settings, rules: Mapping[str, EventRule]) -> dict[str, EventRule]:
    """Put the settings' values into a model's rules.

    Raises
    ------
    ArgumentError
        If the model has no such label, or a rule would be wrong.
    """
    for label in settings.rules:
        if label and label not in rules:
            raise _unknown(f"{settings.path}: [rules]", label, rules, "label of the model")
    common = settings.rules.get("", {})
    changed = {}
    for label, rule in rules.items():
        try:
            changed[label] = replace(rule, **{**common, **settings.rules.get(label, {})})
        except ArgumentError as error:
            raise ArgumentError(f"{settings.path}: [rules] of {label!r}: {error}") from error
    return changed


def make_sinks(settings: Settings, labels: Sequence[str] = ()) -> list[Sink]:
    """Make the sinks of a file of settings.

    Parameters
    ----------
    settings
        As read.
    labels
        The model's; sinks may choose among them only.

    Raises
    ------
    ArgumentError
        If one cannot be made: a program, a variable or a package is missing. Those
        made before it are closed.
    """
    sinks: list[Sink] = []
    try:
        for sink in settings.sinks:
            wants = sink.options.get("wants", MessageFilter())
            for label in wants.labels if labels else ():
                if label not in labels:
                    place = f"{settings.path}: [{sink.kind}] labels:"
                    raise _unknown(place, label, labels, "label of the model")
            extra = {"sounds": labels} if sink.kind == "mqtt" else {}
            sinks.append(_class_of(sink.kind)(**{**extra, **sink.options}))
    except ArgumentError as error:
        for made in sinks:
            made.close()
        raise ArgumentError(f"{settings.path}: {error}") from error
    return sinks


def _class_of(kind: str) -> Any:
    module = importlib.import_module(f"audiocnn.streaming.sinks.{KINDS[kind]}")
    return getattr(module, SINKS[KINDS[kind]])


def _read_sink(place: str, kind: str, table: dict[str, Any], folder: Path) -> SinkSettings:
    """Sort a table's keys: the sink's own, and those of what it is made with."""
    made = _class_of(kind)
    hints = {k: v for k, v in typing.get_type_hints(made.__init__).items() if k != "return"}
    parameters = inspect.signature(made).parameters
    groups = {k: hints.pop(k) for k, v in list(hints.items()) if hasattr(v, "__post_init__")}
    members = {k: typing.get_type_hints(v) for k, v in groups.items()}
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


def _read_rules(place: str, table: dict[str, Any]) -> dict[str, dict[str, float]]:
    hints = {item.name: float for item in fields(EventRule)}
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
    """Check the names and kinds of a table's values, and convert them."""
    for key in table:
        if key not in hints and SECRETS.fullmatch(key):
            raise ArgumentError(
                f"{place} {key!r}: secrets are taken from the environment, not from this file;"
                f" name a variable instead{did_you_mean(f'{key}_env', hints)}"
            )
        if key not in hints:
            raise _unknown(place, key, hints)
    return {k: _convert(f"{place} {k!r}", v, hints[k], folder) for k, v in table.items()}


def _convert(place: str, value: Any, hint: Any, folder: Path) -> Any:
    kinds = set(typing.get_args(hint) or (hint,)) - {type(None)}
    if hint == Sequence[str]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ArgumentError(f"{place} must be a list of texts, found {value!r}")
    if Path in kinds and isinstance(value, str) and value:
        return Path(value) if value == "-" else folder / Path(value).expanduser()
    if kinds <= {int, float}:
        units = SECONDS if float in kinds else BYTES if re.search("size|free", place) else {}
        if units and isinstance(value, str) and (match := QUANTITY.fullmatch(value)):
            factor = units.get(match[2], math.nan)
            value = next(iter(kinds))(float(match[1]) * factor) if factor == factor else value
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and float in kinds and math.isfinite(value):
            return value
        hint = f", or a text with a unit: {', '.join(units)}" if units else ""
        raise ArgumentError(f"{place} must be a number{hint}; found {value!r}")
    if (bool in kinds) == isinstance(value, bool) and isinstance(value, tuple(kinds)):
        return value
    named = {bool: "true or false", str: "a text", int: "a number", Path: "a path"}
    wanted = " or ".join(sorted(named[kind] for kind in kinds))
    raise ArgumentError(f"{place} must be {wanted}, found {value!r}")


def _unknown(
    place: str, name: str, known: Mapping[str, Any] | Sequence[str], what: str = "setting"
) -> ArgumentError:
    near, there = did_you_mean(name, known), ", ".join(known)
    return ArgumentError(f"{place} no {what} {name!r}{near}; there are: {there}")
