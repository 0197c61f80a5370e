"""Reader of PyTorch state dicts that executes nothing.

``torch.save`` writes a zip archive: a pickle that names the tensors, and one file of
raw numbers per tensor storage. A pickle is a program, and Python's unpickler calls
whatever functions it names, so opening one from a stranger runs the stranger's code.
Here the few opcodes that a state dict consists of are interpreted as data. Functions
are never looked up: the three names that a state dict needs are recognised as text,
and a file with any other name or opcode is refused.

Strides and offsets are checked against the storage before an array is made of it, and
compressed entries are refused: PyTorch stores numbers as they are, and an archive that
does not may unfold to any size.

References
----------
.. [1] Python, Lib/pickletools.py, the opcodes and their meaning.
.. [2] PyTorch, torch/_weights_only_unpickler.py, the same idea with torch at hand.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import BundleError

DTYPES = {
    "torch.DoubleStorage": "<f8", "torch.FloatStorage": "<f4", "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8", "torch.IntStorage": "<i4", "torch.ShortStorage": "<i2",
    "torch.CharStorage": "|i1", "torch.ByteStorage": "|u1", "torch.BoolStorage": "|b1",
}  # fmt: skip
REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2"
REBUILD_PARAMETER = "torch._utils._rebuild_parameter"
ORDERED_DICT = "collections.OrderedDict"
LARGEST_PICKLE = 1 << 24  # bytes; a state dict of 10,000 tensors takes about 1 MB
MARK = object()

Tensor = NDArray[Any]


class Global(NamedTuple):
    """A name that the pickle refers to; only text, never looked up."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Numbers in a file of the archive."""

    dtype: str
    key: str
    size: int


def read_state_dict(source: str | Path | bytes, name: str = "") -> dict[str, Tensor]:
    """Read the tensors of a file written by ``torch.save(model.state_dict(), path)``.

    Parameters
    ----------
    source
        Path or bytes of a zip archive as PyTorch 1.6 and later write it.
    name
        For messages; the path if left out.

    Returns
    -------
    dict
        Array by name; each a copy with strides of its own.

    Raises
    ------
    BundleError
        If the file is none, is damaged, or contains anything but tensors by name.
    """
    path = name or (source if isinstance(source, str | Path) else "the file")
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            return _read(file)
    except _Refused as error:
        raise BundleError(f"{path}: {error}; the file is refused, and nothing of it ran") from None
    except (
        zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError,
        MemoryError, OverflowError,
    ) as error:  # fmt: skip
        raise BundleError(f"{path}: is not a readable PyTorch state dict: {error}") from error


class _Refused(Exception):
    """The file contains something that a state dict does not."""


def _read(archive: zipfile.ZipFile) -> dict[str, Tensor]:
    root = _root(archive)

    def numbers(storage: Storage) -> Tensor:
        name = f"{root}data/{storage.key}"
        if name not in archive.namelist():
            raise _Refused(f"{name} is missing")
        content = archive.read(name)
        if len(content) != storage.size * np.dtype(storage.dtype).itemsize:
            raise _Refused(f"{name} has {len(content)} bytes, not {storage.size} numbers")
        return np.frombuffer(content, storage.dtype)

    largest = 2 * sum(entry.file_size for entry in archive.infolist())
    found = Interpreter(numbers, largest).run(archive.read(f"{root}data.pkl"))
    if not isinstance(found, dict):
        raise _Refused(f"contains a {type(found).__name__}, expected tensors by name")
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, np.ndarray):
            raise _Refused(f"{name!r:.60} is no tensor; expected a state dict, not a whole model")
    return found


def _root(archive: zipfile.ZipFile) -> str:
    """Check how the archive is laid out; give the folder that everything in it lies in."""
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED:
            raise _Refused(f"{entry.filename} is compressed, which PyTorch never does")
    names = archive.namelist()
    roots = [name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")]
    if len(roots) != 1 or roots[0].count("/") != 1:
        raise _Refused(f"expected one folder with a data.pkl, found {len(roots)}")
    root = roots[0]
    if archive.getinfo(f"{root}data.pkl").file_size > LARGEST_PICKLE:
        raise _Refused(f"data.pkl is larger than {LARGEST_PICKLE:,} bytes")
    if f"{root}byteorder" in names:
        order = archive.read(f"{root}byteorder")
        if order != b"little":
            raise _Refused(f"numbers are in byte order {order[:20]!r}, not little")
    return root


class Interpreter:
    """Interprets the pickle opcodes of a state dict.

    Parameters
    ----------
    numbers
        Gives the contents of a storage.
    largest
        Bytes that all tensors together may take; tensors that share a storage are copied.
    """

    def __init__(self, numbers: Callable[[Storage], Tensor], largest: int) -> None:
        self.numbers = numbers
        self.left = largest
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, pickle: bytes) -> Any:
        """Interpret a pickle and give its value; `_Refused` for anything unexpected."""
        for opcode, argument, _ in pickletools.genops(pickle):
            if opcode.name == "STOP":
                return self._pop()
            action = _ACTIONS.get(opcode.name)
            if action is None:
                raise _Refused(f"the pickle uses {opcode.name}, which no state dict does")
            action(self, argument)
        raise _Refused("the pickle has no end")

    def _pop(self) -> Any:
        if not self.stack:
            raise _Refused("the pickle takes more from its stack than it put there")
        return self.stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        values: list[Any] = []
        while (value := self._pop()) is not MARK:
            values.append(value)
        return values[::-1]

    def _push(self, value: Any) -> None:
        self.stack.append(value)

    def _push_tuple(self, size: int) -> None:
        self._push(tuple(reversed([self._pop() for _ in range(size)])))

    def _put(self, index: int) -> None:
        if not self.stack:
            raise _Refused("the pickle notes a value that it does not have")
        self.memo[index] = self.stack[-1]

    def _get(self, index: int) -> None:
        if index not in self.memo:
            raise _Refused("the pickle refers to a value that it does not have")
        self._push(self.memo[index])

    def _global(self, name: str) -> None:
        dotted = name.replace(" ", ".")
        if dotted not in {*DTYPES, REBUILD_TENSOR, REBUILD_PARAMETER, ORDERED_DICT}:
            raise _Refused(f"the pickle names {dotted!r:.80}, which is no part of a tensor")
        self._push(Global(dotted))

    def _set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1] if self.stack else None
        if not isinstance(target, dict) or len(pairs) % 2:
            raise _Refused("the pickle sets items of something that is no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str):
                raise _Refused(f"a key is {key!r:.40}, expected text")
            target[key] = value

    def _build(self) -> None:
        """Drop the attributes of an OrderedDict: PyTorch keeps versions of modules there."""
        self._pop()
        if not (self.stack and isinstance(self.stack[-1], dict)):
            raise _Refused("the pickle sets attributes of something that is no dictionary")

    def _storage(self) -> None:
        match self._pop():
            case ("storage", Global(name), str(key), str(), int(size)) if name in DTYPES:
                self._push(Storage(DTYPES[name], key, size))
            case other:
                raise _Refused(f"a storage is described by {other!r:.80}")

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        match function, arguments:
            case Global(name=name), () if name == ORDERED_DICT:
                self._push({})
            case Global(name=name), (Storage() as storage, int(offset), tuple(shape),
                                     tuple(strides), *_) if name == REBUILD_TENSOR:  # fmt: skip
                tensor = _cut(self.numbers(storage), offset, shape, strides)
                self.left -= tensor.nbytes
                if self.left < 0:
                    raise _Refused("its tensors unfold to more than twice the file")
                self._push(tensor)
            case Global(name=name), (np.ndarray() as data, *_) if name == REBUILD_PARAMETER:
                self._push(data)
            case _:
                raise _Refused(f"the pickle calls {function!r:.60} with {arguments!r:.60}")


def _cut(numbers: Tensor, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...]) -> Tensor:
    """Copy a tensor out of its storage; strides count numbers, not bytes."""
    sizes = (offset, *shape, *strides)
    if len(shape) != len(strides) or not all(type(n) is int and n >= 0 for n in sizes):
        described = f"offset {offset}, shape {shape!r:.60}, strides {strides!r:.60}"
        raise _Refused(f"a tensor cannot have {described}")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if math.prod(shape) == 0:
        return np.empty(shape, numbers.dtype)
    if last >= numbers.size or math.prod(shape) > numbers.size:
        raise _Refused(f"a tensor of shape {shape!r:.60} reaches outside its storage")
    steps = [step * numbers.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps).copy()


_ACTIONS: dict[str, Callable[[Interpreter, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda self, _: None),
    **dict.fromkeys(
        ("BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        Interpreter._push,
    ),
    "NONE": lambda self, _: self._push(None),
    "NEWTRUE": lambda self, _: self._push(True),
    "NEWFALSE": lambda self, _: self._push(False),
    "EMPTY_TUPLE": lambda self, _: self._push(()),
    "EMPTY_DICT": lambda self, _: self._push({}),
    "MARK": lambda self, _: self._push(MARK),
    "TUPLE": lambda self, _: self._push(tuple(self._pop_to_mark())),
    "TUPLE1": lambda self, _: self._push_tuple(1),
    "TUPLE2": lambda self, _: self._push_tuple(2),
    "TUPLE3": lambda self, _: self._push_tuple(3),
    "MEMOIZE": lambda self, _: self._put(len(self.memo)),
    "BINPUT": Interpreter._put,
    "LONG_BINPUT": Interpreter._put,
    "BINGET": Interpreter._get,
    "LONG_BINGET": Interpreter._get,
    "GLOBAL": Interpreter._global,
    "BINPERSID": lambda self, _: self._storage(),
    "REDUCE": lambda self, _: self._reduce(),
    "BUILD": lambda self, _: self._build(),
    "SETITEM": lambda self, _: self._set_items([self._pop(), self._pop()][::-1]),
    "SETITEMS": lambda self, _: self._set_items(self._pop_to_mark()),
}
