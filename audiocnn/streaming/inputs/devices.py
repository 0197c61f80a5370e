"""What can record here, and which of it is meant.

A device is known by its name: numbers change when something is plugged in.
Nothing here opens a device.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from audiocnn.errors import DeviceError, did_you_mean
from audiocnn.streaming.inputs import portaudio


@dataclass(frozen=True)
class Device:
    """Something that can record.

    Parameters
    ----------
    index
        PortAudio's number; another one after something is plugged in.
    name
        As PortAudio gives it.
    channels
        How many it has at most.
    rate
        Samples per second that it likes best.
    default
        Whether it is what the system records from when nothing is said.
    hostapi
        The system's sound interface that offers it: one microphone may be there
        once for each.
    """

    index: int
    name: str
    channels: int
    rate: int
    default: bool
    hostapi: str

    @property
    def label(self) -> str:
        """Name and sound interface, which together are a name for `find_device` too."""
        return f"{self.name}, {self.hostapi}"


def list_devices(*, anew: bool = False) -> list[Device]:
    """List what can record.

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


def find_again(device: Device, devices: Sequence[Device]) -> Device:
    """Find a device that was lost, by its name, wherever it is in the list now.

    ALSA ends the names of sound cards with their numbers, as in "USB Audio: - (hw:1,0)",
    and a card may come back with another one.

    Raises
    ------
    DeviceError
        If it is not there.
    """

    def bare(name: str) -> str:
        return re.sub(r"\s*\((plug)?hw:\d+,\d+\)$", "", name)

    same = [d for d in devices if d.name == device.name]
    same = same or [d for d in devices if bare(d.name) == bare(device.name)]
    if not same:
        raise DeviceError(f"{device.name!r} is not among the devices")
    return max(same, key=lambda d: (d.hostapi == device.hostapi, d.index == device.index))


def describe(devices: Sequence[Device]) -> str:
    """Make a line of each device: number, default, name, channels, rate."""
    width = max((len(d.label) for d in devices), default=0)
    return "\n".join(
        f"{d.index:4} {'*' if d.default else ' '} {d.label:{width}}  "
        f"{d.channels:3} {'channel ' if d.channels == 1 else 'channels'}  {d.rate} Hz"
        for d in devices
    )
