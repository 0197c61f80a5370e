"""What the verbs' parsers share: hints at misspelt options, examples, the model."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from audiocnn.errors import did_you_mean

Options = TypeVar("Options")


class Parser(argparse.ArgumentParser):
    """A parser that suggests the option or verb that was meant; exits with 2."""

    def __init__(self, **how: Any) -> None:
        # No --thr for --threshold: it would mean something else once there is --three.
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **how
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is not known here, where the verb's own options are."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print the error, with a suggestion."""
        known = [s for action in self._actions for s in action.option_strings]
        meant = re.findall(r"(?<!\S)-[-\w]+", message)
        if chosen := re.search(r"invalid choice: '(.*?)' \(", message):
            meant = [chosen[1]]
            known = [c for action in self._actions for c in action.choices or ()]
        hints = (did_you_mean(word, known) for word in meant if word not in known)
        hint = next((h for h in hints if h), "")
        self.exit(2, f"{self.prog}: {message}{hint}\nsee {self.prog} --help\n")


def options_of(kind: type[Options], args: argparse.Namespace) -> Options:
    """Make the options of a verb, a dataclass, of parsed arguments of the same names."""
    from dataclasses import fields  # it imports much, and --help needs none of it

    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: getattr(args, name) for name in names if hasattr(args, name)})


def add_verb(verbs: Any, name: str, what: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    """Add a verb: its name, what it does in a few words, and examples."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  {line}" for line in examples),
    )
    return parser


def add_reading(parser: argparse.ArgumentParser, *, labels: bool = False) -> None:
    """Add options for reading sound of several channels and other signals."""
    parser.add_argument("--channel", metavar="N|mix",
                        help="of sound with several channels: which one, from 0 (default: "
                        "mix, the mean of all)")  # fmt: skip
    group = parser.add_argument_group("signals other than sound")
    group.add_argument("--columns", metavar="A,B",
                       help="the channels, by name (default: the model's, or all but the "
                       "time)")  # fmt: skip
    group.add_argument("--time", metavar="COLUMN",
                       help="with seconds or ISO dates (default: time, timestamp, datetime, "
                       "date)")  # fmt: skip
    if "--rate" not in parser._option_string_actions:
        group.add_argument("--rate", type=float, metavar="HZ",
                           help="rows a second, in place of a column of times")  # fmt: skip
    group.add_argument("--missing", choices=["refuse", "gap", "interpolate"],
                       help="what becomes of missing values (default: refuse)")  # fmt: skip
    if labels:
        group.add_argument("--labels", metavar="COLUMN",
                           help="DATA is a table with a label in every row (or a folder of "
                           "such): each run of one label is a clip")  # fmt: skip


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add --model, with its default."""
    parser.add_argument(
        "--model", default="environment", metavar="M",
        help="a shipped name or a bundle's folder (default: environment)",
    )  # fmt: skip


def add_classes(parser: argparse.ArgumentParser) -> None:
    """Add --classes."""
    parser.add_argument(
        "--classes", metavar="A,B",
        help="only these of the model's classes: names, or a file with a name a line; a class of "
        "AudioSet takes those below it along, =Dog is Dog alone",
    )  # fmt: skip
