"""Devices that can record, and finding the one that is meant.

A device is known by its name: numbers change when something is plugged in.
Nothing here opens a device.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audiocnn.errors import DeviceError, did_you_mean
from audiocnn.streaming.inputs import portaudio

CARD = re.compile(r"\s*\((?:plug)?hw:(\d+),\d+\)$")


@dataclass(frozen=True)
class Device:
    """A device that can record.

    Parameters
    ----------
    index
        PortAudio's number; another one after something is plugged in.
    name
        As PortAudio gives it.
    channels
        How many it has at most.
    rate
        Its preferred sample rate.
    default
        Whether it is the system's default.
    hostapi
        The system's sound interface that offers it: one microphone may be there
        once for each.
    port
        Where it is plugged in, and its serial number, as far as the system says (Linux, of
        sound cards that PortAudio opens without a sound server); empty otherwise.
    """

    index: int
    name: str
    channels: int
    rate: int
    default: bool
    hostapi: str
    port: str = ""

    @property
    def label(self) -> str:
        """Name and sound interface, which together are a name for `find_device` too."""
        return f"{self.name}, {self.hostapi}"


def list_devices(*, anew: bool = False) -> list[Device]:
    """List the devices that can record.

    Parameters
    ----------
    anew
        Whether to see what was plugged in since the process began; while some
        microphone of the process is open, that is not possible.

    Raises
    ------
    DeviceError
        If PortAudio is not installed.
    """
    with portaudio.turn() as ours:
        sd = portaudio.load()
        if anew and ours:
            portaudio.read_list_anew()
        try:
            rows, hostapis = list(sd.query_devices()), sd.query_hostapis()
            default = int(sd.default.device[0])
        except sd.PortAudioError as error:
            raise DeviceError(f"PortAudio cannot list the devices: {error.args[0]}") from error
    return [
        Device(
            index=row["index"],
            name=row["name"],
            channels=row["max_input_channels"],
            rate=round(row["default_samplerate"]),
            default=row["index"] == default,
            hostapi=hostapis[row["hostapi"]]["name"],
            port=port_of(row["name"]),
        )
        for row in rows
        if row["max_input_channels"] > 0
    ]


def find_device(wanted: str | int | None, devices: Sequence[Device]) -> Device:
    """Find the device that is meant.

    Parameters
    ----------
    wanted
        A number; a name, alone or as "name, hostapi"; or a part of it in any
        case. None is the default device.
    devices
        What there is, from `list_devices`.

    Raises
    ------
    DeviceError
        If none or several are meant; lists them.
    """
    if not devices:
        raise DeviceError(
            "nothing here can record: plug in a microphone, and see that the sound server is "
            "running and that this user may use it (on Linux: group 'audio')"
        )
    if wanted is None:
        return next((d for d in devices if d.default), devices[0])
    if isinstance(wanted, int) or re.fullmatch(r"\d+", wanted.strip()):
        found = [d for d in devices if d.index == int(wanted)]
        what = f"number {int(wanted)}"
    else:
        part = wanted.strip().casefold()
        found = (
            [d for d in devices if wanted in (d.name, d.label)]
            or [d for d in devices if part in (d.name.casefold(), d.label.casefold())]
            or [d for d in devices if part and part in d.label.casefold()]
        )
        what = f"name {wanted!r}"
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(
            f"{len(found)} devices fit the {what}; give more of the name, or a number:\n"
            f"{describe(found)}"
        )
    hint = did_you_mean(str(wanted), [d.name for d in devices])
    raise DeviceError(
        f"no device that can record has the {what}{hint}; there are:\n{describe(devices)}"
    )


def find_again(device: Device, devices: Sequence[Device], n_equal: int = 1) -> Device:
    """Find a device that was lost, wherever it is in the list now.

    ALSA ends the names of sound cards with their numbers, as in "USB Audio: - (hw:1,0)",
    and a card may come back with another one. Where the system says where a card is plugged
    in, that decides; an equal microphone in another place is taken for it only where there
    was never more than one.

    Parameters
    ----------
    device
        As it was.
    devices
        The list now.
    n_equal
        How many devices of its name there were when it was opened.

    Raises
    ------
    AmbiguousDeviceError
        If there are equal ones, and it is not certain which one it is.
    DeviceError
        If it is not there.
    """
    equal = [d for d in devices if bare_name(d.name) == bare_name(device.name)]
    same = [d for d in equal if device.port and d.port == device.port]
    if not same and not device.port:
        same = [d for d in equal if d.name == device.name]
    if not same and n_equal <= 1 and len({d.port or d.name for d in equal}) == 1:
        same = equal
    if not same and equal:
        raise AmbiguousDeviceError(
            f"devices named {bare_name(device.name)!r} are there ({len(equal)}), and it is not "
            "certain that one of them is the microphone that was lost: plug it in where it was"
        )
    if not same:
        raise DeviceError(f"{device.name!r} is not among the devices")
    return max(same, key=lambda d: (d.hostapi == device.hostapi, d.index == device.index))


class AmbiguousDeviceError(DeviceError):
    """Several devices may be the one that was lost."""


def count_equal(device: Device, devices: Sequence[Device]) -> int:
    """Count the devices of a device's name, whatever their numbers, at its sound interface."""
    return sum(
        bare_name(d.name) == bare_name(device.name) and d.hostapi == device.hostapi for d in devices
    )


def bare_name(name: str) -> str:
    """Give a name without the number of the sound card."""
    return CARD.sub("", name)


def port_of(name: str, root: Path = Path("/sys/class/sound")) -> str:
    """Give where a sound card is plugged in, and its serial number; empty if it is unknown.

    Parameters
    ----------
    name
        As PortAudio gives it, with the number of an ALSA card.
    root
        Where Linux describes its sound cards.
    """
    match = CARD.search(name)
    if match is None:
        return ""
    link = root / f"card{match[1]}" / "device"
    try:
        place = link.resolve(strict=True)
    except OSError:
        return ""
    serial = ""
    with contextlib.suppress(OSError):
        serial = (place.parent / "serial").read_text(encoding="utf-8", errors="replace").strip()
    return f"{place} {serial}".strip()


def describe(devices: Sequence[Device]) -> str:
    """Make a line of each device: number, default, name, channels, rate."""
    width = max((len(d.label) for d in devices), default=0)
    return "\n".join(
        f"{d.index:4} {'*' if d.default else ' '} {d.label:{width}}  "
        f"{d.channels:3} {'channel ' if d.channels == 1 else 'channels'}  {d.rate} Hz"
        for d in devices
    )
