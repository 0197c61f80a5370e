"""Files of embeddings: a vector for each window, with path, begin and end.

    .parquet   path, start, end, embedding (fixed_size_list of float32)
    .npy       (W, D) float32; beside it a .csv with a row path,start,end for each
    .npz       arrays embedding (W, D), path, start, end; needs memory for all

The file is replaced when all is written.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError
from audiocnn.inference.embeddings import Embeddings
from audiocnn.io.files.atomic import replacing

Put = Callable[[str, Embeddings], None]
SUFFIXES = (".parquet", ".npy", ".npz")


@contextlib.contextmanager
def vector_file(path: str | Path, n_features: int) -> Iterator[Put]:
    """Open a file of embeddings; the context gives a function that adds those of a recording.

    Raises
    ------
    ArgumentError
        If the suffix is unknown, the file cannot be written, or .parquet lacks pyarrow.
    """
    target = Path(path)
    writers = {".parquet": _parquet, ".npy": _npy, ".npz": _npz}
    if target.suffix.lower() not in writers:
        raise ArgumentError(f"embeddings are written as {', '.join(SUFFIXES)}, got {target.name!r}")
    try:
        write = writers[target.suffix.lower()]
        with replacing(target) as part, write(part, target, n_features) as put:
            yield put
    except OSError as error:
        raise ArgumentError(f"cannot write {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def _parquet(part: Path, target: Path, n_features: int) -> Iterator[Put]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise ArgumentError(
            f"{target}: .parquet needs pyarrow; run: pip install 'audiocnn[parquet]', or write .npy"
        ) from error
    vector = pa.list_(pa.float32(), n_features)
    schema = pa.schema([("path", pa.string()), ("start", pa.float64()), ("end", pa.float64()),
                        ("embedding", vector)])  # fmt: skip
    with pq.ParquetWriter(part, schema) as writer:

        def put(name: str, run: Embeddings) -> None:
            try:
                name.encode()
            except UnicodeEncodeError as error:
                raise ArgumentError(
                    f"{name!r} is no UTF-8, and Parquet holds nothing else: name an .npy instead"
                ) from error
            flat = pa.array(np.ascontiguousarray(run.values.T).ravel())
            columns = [pa.array([name] * run.begins.size), pa.array(run.begins), pa.array(run.ends),
                       pa.FixedSizeListArray.from_arrays(flat, n_features)]  # fmt: skip
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))

        yield put


@contextlib.contextmanager
def _npy(part: Path, target: Path, n_features: int) -> Iterator[Put]:
    n_rows = 0
    table = target.with_suffix(".csv")
    if table.exists() and not target.exists():
        raise ArgumentError(
            f"{table} exists, and {target.name} does not: the times of the vectors would replace "
            "it; name another file"
        )

    def write_header(file: Any) -> None:
        shape = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, n_features)}
        np.lib.format.write_array_header_1_0(file, shape)

    with replacing(table) as table_part, part.open("wb") as file, table_part.open(
        "w", newline="", encoding="utf-8", errors="surrogateescape"
    ) as rows:  # fmt: skip
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow(("path", "start", "end"))
        write_header(file)  # NumPy leaves room in it for the rows to grow in number
        begin = file.tell()

        def put(name: str, run: Embeddings) -> None:
            nonlocal n_rows
            n_rows += run.begins.size
            file.write(np.ascontiguousarray(run.values.T, "<f4").tobytes())
            for times in zip(run.begins.tolist(), run.ends.tolist(), strict=True):
                writer.writerow((name, *(f"{t:.6f}" for t in times)))

        yield put
        file.seek(0)
        write_header(file)
        assert file.tell() == begin, "the header keeps its length"


@contextlib.contextmanager
def _npz(part: Path, target: Path, n_features: int) -> Iterator[Put]:
    paths: list[str] = []
    times: list[NDArray[np.float64]] = [np.empty((2, 0))]
    vectors: list[NDArray[np.float32]] = [np.empty((0, n_features), np.float32)]

    def put(name: str, run: Embeddings) -> None:
        paths.extend([name] * run.begins.size)
        times.append(np.stack((run.begins, run.ends)))
        vectors.append(run.values.T)

    with part.open("wb") as file:
        yield put
        start, end = np.concatenate(times, axis=1)
        named = np.array(paths, dtype=np.str_)
        np.savez(file, embedding=np.concatenate(vectors), path=named, start=start, end=end)
