"""Detection of ONNX models that read other files, before a runtime opens them.

ONNX lets a tensor name another file to take its numbers from. A bundle never
does, so one that does is refused, before a runtime follows the path. To see it
takes no more than walking the protocol buffer: the ``onnx`` package, which could
tell as well, is not part of the runtime.

Field numbers are those of onnx.proto [1]_.

References
----------
.. [1] ONNX, onnx/onnx.proto, messages ModelProto to StringStringEntryProto.
"""

from __future__ import annotations

from collections.abc import Iterator

from audiocnn.errors import BundleError

# Fields of each message that lead to tensors: {field: kind of message it holds}.
_LEADS_ON = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DEEPEST = 100  # as deep as readers of protocol buffers go


def outside_data(model: bytes) -> str:
    """Name the first outside file that a serialised model refers to, or ``""``.

    Raises
    ------
    BundleError
        If the bytes are no protocol buffer, or nested without end.
    """
    return _look(memoryview(model), "model", 0)


def _look(message: memoryview, kind: str, depth: int) -> str:
    if depth > _DEEPEST:
        raise BundleError(f"the ONNX graph is nested more than {_DEEPEST} deep: it is refused")
    for number, value in _fields(message):
        if kind == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value == 1):
                entry = bytes(value) if isinstance(value, memoryview) else b"location not named"
                return entry.decode("utf-8", "replace")
        elif (
            (inner := _LEADS_ON[kind].get(number))
            and isinstance(value, memoryview)
            and (found := _look(value, inner, depth + 1))
        ):
            return found
    return ""


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a message: numbers, or bytes where a length is stored."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
        elif wire in (1, 2, 5):
            length, at = (8, at) if wire == 1 else (4, at) if wire == 5 else _varint(message, at)
            if at + length > len(message):
                raise BundleError("the ONNX graph is cut short; install the model again")
            yield key >> 3, message[at : at + length]
            at += length
        else:
            raise BundleError(f"the ONNX graph has a field of unknown type {wire}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
    raise BundleError("the ONNX graph is cut short; install the model again")
