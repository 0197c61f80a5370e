"""Verbs about models: models, info."""

from __future__ import annotations

from typing import Any

from audiocnn.cli.options.parsing import add_verb


def add_models(verbs: Any) -> None:
    """Add `audiocnn models`."""
    models = add_verb(verbs, "models", "list the models that ship", ["audiocnn models --json"])
    models.add_argument("--json", action="store_true", help="for a program")


def add_info(verbs: Any) -> None:
    """Add `audiocnn info`."""
    info = add_verb(verbs, "info", "say what is in a model", ["audiocnn info environment"])
    info.add_argument("model", metavar="MODEL", help="a shipped name or a bundle's folder")
    info.add_argument("--json", action="store_true", help="for a program")
