"""Reading state dicts: what PyTorch writes, and what must be refused without running any of it."""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audiocnn.errors import BundleError
from audiocnn.zoo.torch_file import read_state_dict


def archive(path: Path, data: bytes, storages: dict[str, bytes] | None = None, **how: Any) -> Path:
    """Write an archive as torch.save does, around a pickle of one's own."""
    with zipfile.ZipFile(path, "w", **how) as out:
        out.writestr("archive/data.pkl", data)
        out.writestr("archive/version", b"3\n")
        for key, content in (storages or {}).items():
            out.writestr(f"archive/data/{key}", content)
    return path


def tensor(offset: int, shape: tuple[int, ...], strides: tuple[int, ...], size: int) -> bytes:
    """Pickle {"w": a tensor} that is cut out of a storage "0" like this."""
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    )
    storage += pickle_int(size) + b"tQ"
    ints = b"".join([
        pickle_int(offset), b"(", *map(pickle_int, shape), b"t(", *map(pickle_int, strides), b"t"
    ])  # fmt: skip
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    return b"\x80\x02}(X\x01\x00\x00\x00w" + rebuild + b"(" + storage + ints + hooks + b"tRu."


def pickle_int(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64,
                                   torch.int32, torch.uint8, torch.bool])  # fmt: skip
def test_reads_what_pytorch_writes(tmp_path: Path, dtype: torch.dtype) -> None:
    whole = torch.arange(24).reshape(2, 3, 4).to(dtype)
    state = {"whole": whole, "turned": whole.transpose(0, 2), "part": whole[1, 1:, ::2],
             "number": whole[1, 2, 3], "none": whole[:0]}  # fmt: skip
    torch.save(state, tmp_path / "w.pt")
    found = read_state_dict(tmp_path / "w.pt")
    assert list(found) == list(state)
    for name, values in state.items():
        assert found[name].dtype == values.numpy().dtype
        np.testing.assert_array_equal(found[name], values.numpy())


def test_reads_a_module_and_its_parameters(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    torch.save(network.state_dict(), tmp_path / "state.pt")
    torch.save(dict(network.named_parameters()), tmp_path / "parameters.pt")
    state = read_state_dict(tmp_path / "state.pt")
    assert set(state) == set(network.state_dict())
    np.testing.assert_array_equal(state["0.weight"], network[0].weight.detach().numpy())
    assert "0.bias" in read_state_dict(tmp_path / "parameters.pt")


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.how = (function, arguments)

    def __reduce__(self) -> Any:
        return self.how


ATTACKS = {
    "os.system": Attack(os.system, "touch ATTACKED"),
    "eval": Attack(eval, "open('ATTACKED', 'w')"),
    "exec": Attack(exec, "open('ATTACKED', 'w')"),
    "getattr": Attack(getattr, "text", "upper"),
    "open": Attack(open, "ATTACKED", "w"),
    "numpy": np.arange(3),
    "bytes": Attack(bytearray, b"x"),
}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ATTACKS)
def test_pickle_that_calls_something_is_refused_and_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps({"weight": ATTACKS[name]}, protocol)
    with pytest.raises(BundleError, match="is refused, and nothing of it ran"):
        read_state_dict(archive(tmp_path / "w.pt", data))
    assert not (tmp_path / "ATTACKED").exists()


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        (b"cposix\nsystem\n.", "names 'posix.system', which is no part of a tensor"),
        (b"(S'touch ATTACKED'\nios\nsystem\n.", "uses STRING, which no state dict does"),
        (b"(ios\nsystem\n.", "uses INST"),
        (b"\x80\x02\x82\x01.", "uses EXT1"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "uses STACK_GLOBAL"),
        (b"\x80\x02)\x81.", "uses NEWOBJ"),
        (b"\x80\x02}X\x01\x00\x00\x00a)Rs.", "calls"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "calls"),
        (b"\x80\x02h\x05.", "refers to a value that it does not have"),
        (b"\x80\x02q\x00.", "notes a value that it does not have"),
        (b"\x80\x02R.", "takes more from its stack"),
        (b"\x80\x02)X\x01\x00\x00\x00aK\x01s.", "sets items of something that is no dictionary"),
        (b"\x80\x02)}b.", "sets attributes of something that is no dictionary"),
        (b"\x80\x02K\x01Q.", "a storage is described by 1"),
        (b"\x80\x02}K\x01K\x02s.", "a key is 1, expected text"),
        (b"\x80\x02}X\x01\x00\x00\x00aK\x02s.", "'a' is no tensor"),
        (b"\x80\x02K\x01.", "contains a int, expected tensors by name"),
        (b"\x80\x02}", "pickle exhausted before seeing STOP"),
        (b"", "pickle exhausted before seeing STOP"),
        (b"\xff\xff", "is not a readable PyTorch state dict"),
    ],
)
def test_hostile_pickles_are_refused(tmp_path: Path, opcodes: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        read_state_dict(archive(tmp_path / "w.pt", opcodes))


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "size", "message"),
    [
        (0, (5,), (1,), 4, "reaches outside its storage"),
        (3, (2,), (1,), 4, "reaches outside its storage"),
        (0, (2, 2), (100, 1), 4, "reaches outside its storage"),
        (0, (1 << 30,), (0,), 4, "reaches outside its storage"),
        (-1, (2,), (1,), 4, "cannot have offset -1"),
        (3, (2,), (-1,), 4, r"cannot have offset 3, shape \(2,\), strides \(-1,\)"),
        (0, (-2,), (1,), 4, "cannot have"),
        (0, (2, 2), (1,), 4, "cannot have"),
        (0, (2,), (1,), 5, "archive/data/0 has 16 bytes, not 5 numbers"),
    ],
)
def test_tensor_outside_its_storage_is_refused(
    tmp_path: Path, offset: int, shape: Any, strides: Any, size: int, message: str
) -> None:
    path = archive(tmp_path / "w.pt", tensor(offset, shape, strides, size), {"0": bytes(16)})
    with pytest.raises(BundleError, match=message):
        read_state_dict(path)


def test_the_same_tensor_within_its_storage_is_read(tmp_path: Path) -> None:
    content = np.arange(4, dtype="<f4").tobytes()
    path = archive(tmp_path / "w.pt", tensor(1, (3,), (1,), 4), {"0": content})
    np.testing.assert_array_equal(read_state_dict(path)["w"], [1, 2, 3])


def test_tensors_that_unfold_to_more_than_the_file_are_refused(tmp_path: Path) -> None:
    one = tensor(0, (4096,), (1,), 4096)[3:-2]  # between "}" and "u."
    begin = one.index(b"X\x01\x00\x00\x00w")
    many = b"".join(
        one[begin:].replace(b"X\x01\x00\x00\x00w", b"X\x03\x00\x00\x00" + f"{i:03}".encode())
        for i in range(100)
    )
    path = archive(tmp_path / "w.pt", b"\x80\x02}(" + many + b"u.", {"0": bytes(4 * 4096)})
    with pytest.raises(BundleError, match="unfold to more than twice the file"):
        read_state_dict(path)


def test_odd_archives_are_refused(tmp_path: Path) -> None:
    good = tensor(0, (4,), (1,), 4)
    packed = archive(tmp_path / "a", good, {"0": bytes(16)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(BundleError, match="is compressed, which PyTorch never does"):
        read_state_dict(packed)
    with pytest.raises(BundleError, match="archive/data/0 is missing"):
        read_state_dict(archive(tmp_path / "b", good))
    for name, content in (("c", b"no archive"), ("d", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BundleError, match="is not a readable PyTorch state dict"):
            read_state_dict(tmp_path / name)
    with pytest.raises(BundleError, match="nowhere"):
        read_state_dict(tmp_path / "nowhere")
    with zipfile.ZipFile(tmp_path / "e", "w") as out:
        out.writestr("a/data.pkl", good)
        out.writestr("b/data.pkl", good)
    with pytest.raises(BundleError, match=r"expected one folder with a data\.pkl, found 2"):
        read_state_dict(tmp_path / "e")
    with zipfile.ZipFile(tmp_path / "f", "w") as out:
        out.writestr("a/data.pkl", good)
        out.writestr("a/byteorder", b"big")
    with pytest.raises(BundleError, match="byte order b'big'"):
        read_state_dict(tmp_path / "f")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    written = io.BytesIO()
    torch.save({"weight": torch.arange(64.0)}, written)
    content = written.getvalue()
    for cut in range(0, len(content), 97):
        (tmp_path / "w.pt").write_bytes(content[:cut])
        with pytest.raises(BundleError, match=r"w\.pt"):
            read_state_dict(tmp_path / "w.pt")
