"""A command run for each event.

The command is a list of arguments, given to the system as they are: there is no
shell, so a label cannot become a command. It runs in a process group of its own
and is killed with it when its time is over. What it prints is not shown; the end of
its standard error is reported if it fails.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO

from audiocnn.errors import ArgumentError, AudiocnnError, did_you_mean
from audiocnn.streaming.messages import Message, values_of
from audiocnn.streaming.sinks.base import MessageFilter
from audiocnn.streaming.units import Seconds

PLACES = ("type", "id", "source", "host", "time", "start", "end", "label", "score", "clip")
PLACE = re.compile(r"\{\{|\}\}|\{(\w+)\}")
GRACE = 1.0  # seconds between asking a command to end and killing it
PRIVATE = "AUDIOCNN_"  # variables of this name may hold secrets; a command does not get them
EVENTS = MessageFilter(("event",))


class CommandError(AudiocnnError):
    """A command could not be run, failed, or took too long."""


class Command:
    """Run a command for each event.

    Parameters
    ----------
    arguments
        The program and its arguments. ``{label}``, ``{score}``, ``{start}``, ``{end}``,
        ``{time}``, ``{id}``, ``{type}``, ``{source}``, ``{host}`` and ``{clip}`` in an
        argument are replaced by the event's; ``{{`` is a brace.
    time_limit
        Seconds that it may take.
    wants
        For which messages it is run: one after the other.
    name
        For messages to the user.

    Raises
    ------
    ArgumentError
        If there is no such program, or an unknown placeholder.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        time_limit: Seconds = 10.0,
        wants: MessageFilter = EVENTS,
        name: str = "command",
    ) -> None:
        if isinstance(arguments, str) or not arguments:
            raise ArgumentError(
                f'{name}: the command must be a list, as ["notify-send", "{{label}}"];'
                f" got {arguments!r}"
            )
        if time_limit <= 0:
            raise ArgumentError(f"{name}: time_limit must be above 0 seconds, got {time_limit}")
        for argument in arguments:
            check_places(argument, name)
        program = shutil.which(os.path.expanduser(arguments[0]))
        if program is None:
            raise ArgumentError(f"{name}: there is no program {arguments[0]!r} that can be run")
        self.name, self.wants = name, wants
        self._arguments, self._time_limit = [program, *arguments[1:]], time_limit
        self._running: subprocess.Popen[bytes] | None = None

    def handle(self, message: Message) -> None:
        """Run the command and wait for its end."""
        arguments = self._arguments[:1]
        arguments += [fill(argument, message) for argument in self._arguments[1:]]
        with tempfile.TemporaryFile() as complaints:
            try:
                self._running = subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    env={k: v for k, v in os.environ.items() if not k.startswith(PRIVATE)},
                    start_new_session=True,
                )
                status = self._running.wait(self._time_limit)
            except subprocess.TimeoutExpired:
                self.abort()
                raise CommandError(
                    f"{arguments[0]} took more than {self._time_limit:g} s and was killed"
                ) from None
            except (OSError, ValueError) as error:
                raise CommandError(f"{arguments[0]} cannot be run: {error}") from error
            finally:
                self._running = None
            if status:
                raise CommandError(f"{arguments[0]} ended with {status}{_tail(complaints)}")

    def abort(self) -> None:
        """Kill what runs, with its whole group."""
        running = self._running
        if running is None:
            return
        _signal(running, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(GRACE)
        _signal(running, getattr(signal, "SIGKILL", signal.SIGTERM))
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(GRACE)

    def close(self) -> None:
        """Nothing is left running."""


def check_places(text: str, name: str) -> None:
    """Refuse a text with a placeholder that no message has.

    Raises
    ------
    ArgumentError
        If there is one; says which was probably meant.
    """
    for place in filter(None, PLACE.findall(text)):
        if place not in PLACES:
            raise ArgumentError(f"{name}: no placeholder {{{place}}}{did_you_mean(place, PLACES)}")


def fill(argument: str, message: Message) -> str:
    """Put a message's values where an argument names them.

    Raises
    ------
    CommandError
        If the argument would begin with a label's ``-``, which programs take for
        an option.
    """
    values = values_of(message)

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        found = values.get(match[1])
        return f"{found:.3f}" if isinstance(found, float) else "" if found is None else str(found)

    text = PLACE.sub(value, argument)
    if text.startswith("-") and not argument.startswith("-"):
        raise CommandError(
            f"{text!r} would be read as an option; write it as --name={argument}, if the"
            " program takes that"
        )
    return text


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.kill()


def _tail(file: IO[bytes]) -> str:
    """Give the last line, or what fits of it."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 300))
    lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""
