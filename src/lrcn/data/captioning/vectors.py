"""Ready vectors that stand in for pictures: one, or a sequence of them, for each example of a caption data set."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcn.errors import DataError


def read_vectors(path: str | Path) -> dict[str, NDArray[np.float32]]:
    """Return the vectors of a file by the keys of its examples, each `(T, D)`, all of the same D.

    Args:
        path: `.safetensors` with a tensor `(D,)` or `(T, D)` for each key; or `.csv` with a header, a first column
            `id`, and a column for each of D numbers. Rows of the same id are a sequence, in their order.

    Raises:
        DataError: If it cannot be read, sizes differ, or a value is no finite number.
    """
    path = Path(path)
    try:
        vectors = _read_csv(path) if path.suffix.lower() == ".csv" else _read_safetensors(path)
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    if not vectors:
        raise DataError(f"{path}: no vectors in it")
    sizes = {rows.shape[1]: key for key, rows in vectors.items()}
    if len(sizes) > 1:
        (size, key), (other, other_key) = list(sizes.items())[:2]
        raise DataError(f"{path}: {key!r} has {size} values and {other_key!r} {other}; all must have as many")
    for key, rows in vectors.items():
        if rows.size == 0:
            raise DataError(f"{path}: {key!r} has no values")
        if not np.isfinite(rows).all():
            raise DataError(f"{path}: {key!r} holds a value that is no finite number")
    return vectors


def _read_safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    from safetensors.torch import load

    try:
        tensors = load(path.read_bytes())
        for key, tensor in tensors.items():
            if tensor.dim() not in (1, 2) or tensor.is_complex():
                raise DataError(f"{path}: {key!r} is {tuple(tensor.shape)}; expected (values,) or (steps, values)")
        return {key: np.atleast_2d(tensor.float().numpy()) for key, tensor in tensors.items()}
    except (OSError, DataError):
        raise
    except Exception as exc:  # dtypes that torch lacks and sizes that nothing has end in errors of many kinds
        raise DataError(f"{path}: no .safetensors file, or damaged ({exc}); vectors may also be a .csv") from exc


def _read_csv(path: Path) -> dict[str, NDArray[np.float32]]:
    rows: dict[str, list[list[float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if len(header) < 2 or header[0].strip().lower() != "id":
                raise DataError(f"{path} line 1: expected a header: id, then a name for each value")
            for row in reader:
                if not row:
                    continue
                place = f"{path} line {reader.line_num}"
                if len(row) != len(header):
                    raise DataError(f"{place}: {len(row)} columns, the header has {len(header)}")
                try:
                    rows.setdefault(row[0].strip(), []).append([float(value) for value in row[1:]])
                except ValueError as exc:
                    raise DataError(f"{place}: {exc}; after the id, expected numbers") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise DataError(f"{path}: no CSV text ({exc})") from exc
    return {key: np.array(values, dtype=np.float32) for key, values in rows.items()}
