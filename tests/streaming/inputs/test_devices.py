"""Devices: by number, name or part of a name; what is wrong is said with the matches."""

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from audiocnn.cli.main import main
from audiocnn.errors import DeviceError
from audiocnn.streaming.inputs import portaudio
from audiocnn.streaming.inputs.devices import (
    AmbiguousDeviceError,
    Device,
    count_equal,
    find_again,
    find_device,
    list_devices,
    port_of,
)
from tests.fake_sounddevice import FakeSoundDevice, PortAudioError, device, fake

__all__ = ["fake"]

DESK = Device(2, "USB Desk Mic: Audio (hw:1,0)", 1, 48000, False, "ALSA")
WEBCAM = Device(3, "Webcam: USB Audio (hw:2,0)", 2, 32000, False, "ALSA")
DEFAULT = Device(7, "default", 32, 44100, True, "ALSA")
ALL = [DESK, WEBCAM, DEFAULT]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, DEFAULT),
        (3, WEBCAM),
        ("3", WEBCAM),
        ("default", DEFAULT),
        ("Default", DEFAULT),
        ("desk", DESK),
        ("webcam: usb", WEBCAM),
        ("default, ALSA", DEFAULT),
        ("USB Desk Mic: Audio (hw:1,0)", DESK),
    ],
)
def test_device_is_found(wanted: Any, found: Device) -> None:
    assert find_device(wanted, ALL) is found


def test_exact_name_comes_before_a_part() -> None:
    usb, usb2 = Device(0, "USB", 1, 16000, True, "ALSA"), Device(1, "USB 2", 1, 16000, False, "A")
    assert find_device("USB", [usb2, usb]) is usb
    assert find_device("usb", [usb2, usb]) is usb


def test_without_a_default_the_first_is_taken() -> None:
    assert find_device(None, [WEBCAM, DESK]) is WEBCAM


def test_ambiguous_name_lists_the_matches() -> None:
    with pytest.raises(DeviceError, match="2 devices fit the name 'usb'") as caught:
        find_device("usb", ALL)
    said = str(caught.value)
    assert DESK.name in said
    assert WEBCAM.name in said
    assert "default" not in said


def test_one_microphone_at_two_host_apis() -> None:
    two = [Device(0, "mic", 1, 48000, True, "MME"), Device(1, "mic", 1, 48000, False, "WASAPI")]
    with pytest.raises(DeviceError, match="2 devices fit"):
        find_device("mic", two)
    assert find_device("mic, WASAPI", two) is two[1]
    assert find_device("wasapi", two) is two[1]


@pytest.mark.parametrize("wanted", ["defualt", 5, "5", "", "  "])
def test_unknown_device_lists_all(wanted: Any) -> None:
    with pytest.raises(DeviceError, match="no device that can record has the") as caught:
        find_device(wanted, ALL)
    assert all(d.name in str(caught.value) for d in ALL)
    assert ("did you mean 'default'?" in str(caught.value)) == (wanted == "defualt")


def test_no_device_at_all() -> None:
    with pytest.raises(DeviceError, match="nothing here can record: plug in"):
        find_device(None, [])


def test_lost_device_is_found_under_another_card_number() -> None:
    back = Device(9, "USB Desk Mic: Audio (hw:3,0)", 1, 48000, False, "ALSA")
    assert find_again(DESK, [WEBCAM, back]) is back
    assert find_again(DESK, [back, DESK]) is DESK
    jack = Device(0, "default", 2, 48000, False, "JACK")
    assert find_again(DEFAULT, [jack, DEFAULT]) is DEFAULT
    with pytest.raises(DeviceError, match="'default' is not among the devices"):
        find_again(DEFAULT, [DESK])


def test_only_what_records_is_listed(fake: FakeSoundDevice) -> None:
    fake.plugged = [device("speaker", channels=0), device("desk"), device("jack", hostapi=1)]
    fake.default.device = [1, 0]
    assert [d.name for d in list_devices()] == ["desk"]  # PortAudio has not looked again
    listed = list_devices(anew=True)
    assert [(d.index, d.name, d.default, d.hostapi) for d in listed] == [
        (1, "desk", True, "ALSA"),
        (2, "jack", False, "JACK"),
    ]
    assert fake.n_initialized == 1


def test_list_is_not_read_anew_over_an_open_stream(fake: FakeSoundDevice) -> None:
    stream = object()
    portaudio.opened(stream)
    fake.plugged = []
    assert len(list_devices(anew=True)) == 1
    portaudio._open.discard(id(stream))
    assert list_devices(anew=True) == []


def test_portaudio_that_fails_is_a_device_error(
    fake: FakeSoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise PortAudioError("PortAudio not initialized", -10000)

    monkeypatch.setattr(fake, "query_devices", fail)
    with pytest.raises(DeviceError, match="cannot list the devices: PortAudio not init"):
        list_devices()


@pytest.mark.parametrize(
    ("platform", "how"),
    [
        ("linux", "sudo apt install libportaudio2"),
        ("darwin", "brew install portaudio"),
        ("win32", "pip install --force-reinstall sounddevice"),
        ("freebsd14", "install the package of your system"),
    ],
)
def test_without_portaudio(monkeypatch: pytest.MonkeyPatch, platform: str, how: str) -> None:
    fail_to_import(monkeypatch, OSError("PortAudio library not found"))
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(DeviceError, match=r"PortAudio.* is not installed") as caught:
        list_devices()
    assert how in str(caught.value)


def test_without_sounddevice(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_import(monkeypatch, ImportError("No module named 'sounddevice'"))
    with pytest.raises(DeviceError, match="'pip install sounddevice'"):
        list_devices()


def test_verb_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_to_import(monkeypatch, OSError("PortAudio library not found"))
    assert main(["devices"]) == 1
    assert "audiocnn devices: PortAudio" in capsys.readouterr().err


def test_verb_lists(fake: FakeSoundDevice, capsys: pytest.CaptureFixture[str]) -> None:
    fake.plugged = [device("speaker", channels=0), device("desk"), device("jack", channels=2)]
    fake._initialize()
    fake.default.device = [1, 0]
    assert main(["devices"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["1", "*", "desk,", "ALSA", "1", "channel", "16000", "Hz"]
    assert second.split() == ["2", "jack,", "ALSA", "2", "channels", "16000", "Hz"]
    assert main(["devices", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed[0] == {
        "index": 1, "name": "desk", "channels": 1, "rate": 16000, "default": True,
        "hostapi": "ALSA", "port": "",
    }  # fmt: skip


def test_verb_without_devices(fake: FakeSoundDevice, capsys: pytest.CaptureFixture[str]) -> None:
    fake.devices = []
    assert main(["devices", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == []
    assert "nothing here can record" in err


def fail_to_import(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real = builtins.__import__

    def importing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "sounddevice":
            raise error
        return real(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", importing)


def usb(number: int, port: str = "") -> Device:
    return Device(number, f"USB Mic: Audio (hw:{number},0)", 1, 48000, False, "ALSA", port)


def test_equal_microphones_are_never_taken_for_each_other() -> None:
    first, second = usb(1, "usb1/1-1 A"), usb(2, "usb1/1-2 B")
    assert count_equal(first, [first, second, WEBCAM]) == 2
    # Their numbers are exchanged: the place where it is plugged in decides.
    assert find_again(first, [usb(1, "usb1/1-2 B"), usb(2, "usb1/1-1 A")], 2).index == 2
    for there in ([second], [usb(1, "usb1/1-2 B")], [usb(1, "usb1/1-3 C"), second]):
        with pytest.raises(AmbiguousDeviceError, match="not certain that one of them"):
            find_again(first, there, 2)
    with pytest.raises(DeviceError, match="is not among the devices"):
        find_again(first, [WEBCAM], 2)


def test_equal_microphones_whose_places_are_unknown() -> None:
    assert find_again(usb(1), [usb(1), usb(2)], 2).index == 1  # nothing says that they changed
    with pytest.raises(AmbiguousDeviceError):
        find_again(usb(1), [usb(2)], 2)
    assert find_again(usb(1), [usb(3)], 1).index == 3  # there was never another one


def test_one_that_comes_back_into_another_port_where_there_is_no_other() -> None:
    assert find_again(usb(1, "usb1/1-1 A"), [usb(2, "usb1/1-4 A")], 1).index == 2
    with pytest.raises(AmbiguousDeviceError):
        find_again(usb(1, "usb1/1-1"), [usb(2, "usb1/1-4"), usb(3, "usb1/1-5")], 1)


def test_the_port_is_read_from_the_system(tmp_path: Path) -> None:
    device = tmp_path / "devices" / "usb1" / "1-1" / "1-1:1.0"
    device.mkdir(parents=True)
    (device.parent / "serial").write_text("A17\n")
    (tmp_path / "card2").mkdir()
    (tmp_path / "card2" / "device").symlink_to(device)
    assert port_of("USB Mic: Audio (hw:2,0)", tmp_path) == f"{device.resolve()} A17"
    assert port_of("USB Mic: Audio (hw:3,0)", tmp_path) == ""
    assert port_of("pulse", tmp_path) == ""
