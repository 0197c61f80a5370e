"""TensorFlow Lite files: their tensors, and inner ones given out as outputs.

A network's embedding is often an inner tensor. LiteRT overwrites those while it runs, and
keeping all of them makes it slow. The file is a flat buffer, in which a list is named by
its distance; a longer list of outputs is put at the end of the file, and the distance
that names it is changed. Everything else stays as it was, byte for byte.

    ... | subgraph: ... outputs -> distance ... | rest of the file | n, index, index ... |
                                       |______________________________^

References
----------
.. [1] TensorFlow, tensorflow/compiler/mlir/lite/schema/schema.fbs, tables Model, SubGraph
   and Tensor: the numbers of their fields.
.. [2] FlatBuffers, Internals: tables, virtual tables and vectors.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from audiocnn.errors import BundleError, did_you_mean

IDENTIFIER = b"TFL3"  # at byte 4
_SUBGRAPHS = 2  # field of Model
_TENSORS, _INPUTS, _OUTPUTS = 0, 1, 2  # fields of SubGraph
_SHAPE, _NAME = 0, 3  # fields of Tensor


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a TFLite file.

    Parameters
    ----------
    index
        Its number in the file.
    name
        As the exporter wrote it.
    shape
        Sizes; 1 also where a size is free.
    """

    index: int
    name: str
    shape: tuple[int, ...]


def is_tflite(content: bytes) -> bool:
    """Tell whether bytes begin as a TFLite file does."""
    return content[4:8] == IDENTIFIER


def list_tensors(content: bytes) -> list[TensorInfo]:
    """List the tensors of the first subgraph, constants included.

    Raises
    ------
    BundleError
        If the bytes are no TFLite file, or damaged.
    """
    try:
        return _tensors(_Reader(content))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BundleError(f"the TFLite file is damaged: {error}") from error


def with_outputs(content: bytes, names: list[str]) -> bytes:
    """Make inner tensors outputs, behind those that there are.

    Parameters
    ----------
    content
        The file.
    names
        Of tensors; the whole name, or the end of it after a ``/``. One that is an output
        already stays where it is.

    Returns
    -------
    bytes
        A file that gives them out.

    Raises
    ------
    BundleError
        If there is no such tensor or there are several, or the file is damaged.
    """
    try:
        reader = _Reader(content)
        tensors = _tensors(reader)
        field = reader.field(reader.subgraph, _OUTPUTS)
        outputs = reader.numbers(field) if field else []
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BundleError(f"the TFLite file is damaged: {error}") from error
    if field is None:
        raise BundleError("the TFLite file has no outputs")
    wanted = [find_tensor(tensors, name).index for name in names]
    longer = outputs + [index for index in wanted if index not in outputs]
    at = len(content) + -len(content) % 4
    changed = bytearray(content.ljust(at, b"\0"))
    changed += struct.pack(f"<I{len(longer)}i", len(longer), *longer)
    struct.pack_into("<I", changed, field, at - field)
    return bytes(changed)


def find_tensor(tensors: list[TensorInfo], name: str) -> TensorInfo:
    """Find a tensor by its name or the end of it.

    Raises
    ------
    BundleError
        If there is none or there are several.
    """
    found = [t for t in tensors if t.name == name] or [
        t for t in tensors if t.name.endswith(f"/{name}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(repr(t.name) for t in found[:5])
        raise BundleError(f"{len(found)} tensors are called {name!r}: {listed}; name one in full")
    near = did_you_mean(name, [t.name for t in tensors])
    raise BundleError(f"the file has no tensor {name!r}{near}")


class _Reader:
    """Walks a flat buffer."""

    def __init__(self, content: bytes) -> None:
        if not is_tflite(content):
            raise BundleError(f"no TFLite file: it begins with {content[:8]!r}")
        self.content = content
        model = self.u32(0)
        subgraphs = self.field(model, _SUBGRAPHS)
        if subgraphs is None or not (tables := self.tables(subgraphs)):
            raise BundleError("the TFLite file has no graph")
        self.subgraph = tables[0]

    def u32(self, at: int) -> int:
        if at < 0:
            raise IndexError(f"a distance leads to byte {at}")
        return int(struct.unpack_from("<I", self.content, at)[0])

    def field(self, table: int, number: int) -> int | None:
        """Position of a field of a table; None if it is left out."""
        virtual = table - struct.unpack_from("<i", self.content, table)[0]
        size = struct.unpack_from("<H", self.content, virtual)[0]
        if 4 + 2 * number >= size:
            return None
        distance = struct.unpack_from("<H", self.content, virtual + 4 + 2 * number)[0]
        return table + distance if distance else None

    def vector(self, at: int) -> tuple[int, int]:
        """Position of the first element and number of them."""
        begin = at + self.u32(at)
        count = self.u32(begin)
        if 4 * count > len(self.content):
            raise IndexError(f"a list of {count} elements")
        return begin + 4, count

    def tables(self, at: int) -> list[int]:
        begin, count = self.vector(at)
        return [begin + 4 * i + self.u32(begin + 4 * i) for i in range(count)]

    def numbers(self, at: int) -> list[int]:
        begin, count = self.vector(at)
        return list(struct.unpack_from(f"<{count}i", self.content, begin))

    def text(self, at: int) -> str:
        begin = at + self.u32(at)
        return self.content[begin + 4 : begin + 4 + self.u32(begin)].decode("utf-8")


def _tensors(reader: _Reader) -> list[TensorInfo]:
    field = reader.field(reader.subgraph, _TENSORS)
    found = []
    for index, table in enumerate(reader.tables(field) if field else []):
        shape, name = reader.field(table, _SHAPE), reader.field(table, _NAME)
        found.append(
            TensorInfo(
                index,
                reader.text(name) if name else "",
                tuple(reader.numbers(shape)) if shape else (),
            )
        )
    return found
