"""A graph that reads other files is found, wherever it hides them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocnn.errors import BundleError
from audiocnn.inference.onnx_safety import outside_data

onnx = pytest.importorskip("onnx")


def tensor(outside: bool = True) -> "onnx.TensorProto":
    if not outside:
        return onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [2], [1.0, 2.0])
    made = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[2])
    made.data_location = onnx.TensorProto.EXTERNAL
    made.external_data.add(key="location", value="../passwords.bin")
    return made


def attribute(t: "onnx.TensorProto") -> "onnx.AttributeProto":
    return onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=t)


def constant(t: "onnx.TensorProto") -> "onnx.NodeProto":
    return onnx.NodeProto(op_type="Constant", output=["y"], attribute=[attribute(t)])


def sparse(t: "onnx.TensorProto", part: str) -> "onnx.SparseTensorProto":
    return onnx.SparseTensorProto(dims=[9], **{part: t})


def model(graph: "onnx.GraphProto | None" = None, **parts) -> bytes:
    made = onnx.ModelProto(ir_version=9, graph=graph or onnx.GraphProto(name="empty"), **parts)
    return made.SerializeToString()


def node(**held) -> bytes:
    made = onnx.NodeProto(op_type="Any", attribute=[onnx.AttributeProto(name="a", **held)])
    return model(onnx.GraphProto(node=[made]))


PLACES = {
    "initializer": lambda t: model(onnx.GraphProto(initializer=[t])),
    "behind a good initializer": lambda t: model(onnx.GraphProto(initializer=[tensor(False), t])),
    "sparse values": lambda t: model(onnx.GraphProto(sparse_initializer=[sparse(t, "values")])),
    "sparse indices": lambda t: model(onnx.GraphProto(sparse_initializer=[sparse(t, "indices")])),
    "attribute": lambda t: model(onnx.GraphProto(node=[constant(t)])),
    "list of tensors": lambda t: node(tensors=[t]),
    "sparse attribute": lambda t: node(sparse_tensor=sparse(t, "values")),
    "list of sparse tensors": lambda t: node(sparse_tensors=[sparse(t, "values")]),
    "branch": lambda t: node(g=onnx.GraphProto(node=[constant(t)])),
    "list of branches": lambda t: node(graphs=[onnx.GraphProto(initializer=[t])]),
    "function": lambda t: model(functions=[onnx.FunctionProto(name="f", node=[constant(t)])]),
    # ONNX Runtime 1.30 reads this one too: the value that an attribute has if none is given.
    "default of a function": lambda t: model(
        functions=[onnx.FunctionProto(name="f", attribute_proto=[attribute(t)])]
    ),
    "training": lambda t: model(
        training_info=[onnx.TrainingInfoProto(algorithm=onnx.GraphProto(initializer=[t]))]
    ),
    "initialization": lambda t: model(
        training_info=[onnx.TrainingInfoProto(initialization=onnx.GraphProto(initializer=[t]))]
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_outside_data_is_found_wherever_a_tensor_may_stand(place):
    assert "../passwords.bin" in outside_data(PLACES[place](tensor()))


@pytest.mark.parametrize("place", PLACES)
def test_what_holds_its_own_data_is_good(place):
    assert outside_data(PLACES[place](tensor(outside=False))) == ""


def leads_to_tensors(message, seen=()) -> set[tuple[str, int]]:
    """List the fields of ONNX's own description that tensors can be reached through."""
    if message.name == "TensorProto":
        return set()
    found = set()
    for field in message.fields:
        inner = field.message_type
        if inner is None or (message.name, field.number) in seen:
            continue
        below = leads_to_tensors(inner, (*seen, (message.name, field.number)))
        if inner.name == "TensorProto" or below:
            found |= {(message.name, field.number)} | below
    return found


def test_no_way_to_a_tensor_is_forgotten():
    """Held against the installed onnx: a later one may have new places for tensors."""
    from audiocnn.inference.onnx_safety import _LEADS_ON

    names = {
        "model": "ModelProto", "training": "TrainingInfoProto", "function": "FunctionProto",
        "graph": "GraphProto", "node": "NodeProto", "attribute": "AttributeProto",
        "sparse": "SparseTensorProto",
    }  # fmt: skip
    ours = {(names[kind], number) for kind, fields in _LEADS_ON.items() for number in fields}
    assert leads_to_tensors(onnx.ModelProto.DESCRIPTOR) <= ours


def test_a_place_without_a_name_is_told_as_well():
    made = onnx.TensorProto(data_type=1, dims=[2], data_location=onnx.TensorProto.EXTERNAL)
    assert outside_data(PLACES["initializer"](made)) == "location not named"


def test_a_bundles_graph_is_good(bundle_folders):
    for folder in bundle_folders.values():
        assert outside_data((folder / "graph.onnx").read_bytes()) == ""


@pytest.mark.parametrize("cut", [1, 7, 20, 33])
def test_a_graph_cut_short_is_said(cut):
    with pytest.raises(BundleError, match="the ONNX graph is cut short; install the model again"):
        outside_data(PLACES["branch"](tensor())[:-cut])


@given(st.sampled_from(sorted(PLACES)), st.integers(0, 60), st.binary(max_size=6))
def test_damaged_bytes_are_read_or_refused_and_nothing_worse(place, at, put):
    content = bytearray(PLACES[place](tensor()))
    content[at : at + len(put)] = put
    with contextlib.suppress(BundleError):
        assert isinstance(outside_data(bytes(content)), str)


def test_a_graph_nested_without_end_is_refused():
    """No runtime reads it either: protocol buffers stop at a depth of 100."""
    nested = onnx.GraphProto(initializer=[tensor()])
    content = nested.SerializeToString()
    for _ in range(400):  # graph in attribute (6) in node (5) in graph (1)
        for field in (6, 5, 1):
            content = _field(field, content)
    with pytest.raises(BundleError, match="nested"):
        outside_data(_field(7, content))


def _field(number: int, content: bytes) -> bytes:
    length, size = bytearray(), len(content)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content
