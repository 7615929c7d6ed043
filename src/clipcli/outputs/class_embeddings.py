"""Classes files: ``.npy``, ``.npz``, ``.safetensors``, ``.parquet``, ``.csv``, ``.jsonl``, ``.json``.

Classes that were taught by examples have more arrays than the embeddings; ``.safetensors`` and ``.json`` hold them too.
Every format holds the labels, groups and prompts, the model's name and fingerprint, and its logit scale and bias:
inside the file, or for ``.npy`` in ``FILE.npy.json`` next to it. All can be read back. No format uses pickle.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.delimited import csv_line, guarded, long_cells, rows_of, unguarded
from clipcli.errors import EmbeddingFileError, OutputError
from clipcli.extras import pyarrow_or_error
from clipcli.outputs.class_contents import IMAGES, SHARED, arrays_of, metadata_of, restored
from clipcli.outputs.classes_json import read_json, write_json
from clipcli.outputs.recognition import own_kind_of
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.storage.atomic import replacing

__all__ = [
    "SUFFIXES", "TAUGHT_SUFFIXES", "check_suffix", "files_of", "load_class_embeddings", "load_for_model",
    "save_class_embeddings",
]  # fmt: skip

_ROWS = ("label", "group", "prompts")
TAUGHT_SUFFIXES = (".safetensors", ".json")
"""The extensions of the formats that hold all of taught classes."""
_ROW_SUFFIXES = (".parquet", ".csv", ".jsonl")  # one row per class, and the model


def save_class_embeddings(classes: ClassEmbeddings, path: Path, *, overwrite: bool = True) -> None:
    """Write class embeddings in the format of the extension, atomically.

    Without ``overwrite``, a file that appeared meanwhile is not replaced.

    Raises
    ------
    OutputError
        If the extension is not in :data:`SUFFIXES`, an extra is missing, or the file cannot be written.
    """
    check_suffix(path, taught=len(arrays_of(classes)) > 1 or classes.scale is not None)
    more = (classes.competitors, classes.calibration)
    if path.suffix.lower() in _ROW_SUFFIXES and (classes.thresholds or any(each is not None for each in more)):
        raise OutputError(
            f"cannot write {path}: {path.suffix} cannot hold thresholds, phrases that compete with labels, or a "
            f"calibration (use {' or '.join(TAUGHT_SUFFIXES)})"
        )
    writer, _ = _FORMATS[path.suffix.lower()]
    with replacing(path, overwrite=overwrite) as temporary:
        writer(classes, temporary)
        if path.suffix.lower() == ".npy":
            with replacing(_sidecar(path), overwrite=overwrite) as sidecar:
                sidecar.write_text(json.dumps(metadata_of(classes), ensure_ascii=False, indent=1) + "\n", "utf-8")


def files_of(path: Path) -> list[Path]:
    """Return the files that are written for an output: ``.npy`` has a second one."""
    return [path, _sidecar(path)] if path.suffix.lower() == ".npy" else [path]


def check_suffix(path: Path, suffixes: Sequence[str] = (), *, taught: bool = False) -> None:
    """Raise :class:`OutputError` unless the extension is that of a known format.

    Parameters
    ----------
    suffixes
        The known formats; by default those of class embeddings.
    taught
        Whether the format must hold taught classes.
    """
    known = suffixes or SUFFIXES
    if path.suffix.lower() not in known:
        choice = ", ".join(TAUGHT_SUFFIXES if taught else known)
        raise OutputError(f"cannot use {path}: unknown extension {path.suffix!r} (use {choice})")
    if taught and path.suffix.lower() not in TAUGHT_SUFFIXES:
        raise OutputError(
            f"cannot write {path}: {path.suffix} cannot hold taught classes (use {' or '.join(TAUGHT_SUFFIXES)})"
        )
    if path.suffix.lower() == ".parquet":
        pyarrow_or_error()


def load_class_embeddings(path: Path) -> ClassEmbeddings:
    """Read class embeddings written by :func:`save_class_embeddings`.

    Raises
    ------
    EmbeddingFileError
        If the file does not exist, is damaged, or does not hold class embeddings.
    """
    _, reader = _FORMATS.get(path.suffix.lower(), (None, None))
    if reader is None:
        raise EmbeddingFileError(f"cannot use {path}: unknown extension {path.suffix!r} (use {', '.join(SUFFIXES)})")
    try:
        metadata, arrays = reader(path)
        return restored(metadata, arrays if isinstance(arrays, dict) else {"embeddings": arrays})
    except FileNotFoundError as problem:
        raise EmbeddingFileError(f"cannot read {problem.filename or path}: no such file") from None
    except OutputError as problem:
        raise EmbeddingFileError(str(problem)) from None
    except Exception as problem:
        reason = " ".join(str(problem).split())[:120] or type(problem).__name__
        if own_kind_of(path) == "embeddings":
            reason = IMAGES
        raise EmbeddingFileError(f"cannot read {path}: not a file of class embeddings ({reason})") from problem


def load_for_model(given: ClassEmbeddings | Path, fingerprint: str, title: str) -> ClassEmbeddings:
    """Read class embeddings that are to be used with a model, or check those that were read before.

    Raises
    ------
    EmbeddingFileError
        If they cannot be read, or another model made them.
    """
    classes = load_class_embeddings(given) if isinstance(given, Path) else given
    if classes.fingerprint != fingerprint:
        name = given if isinstance(given, Path) else "these classes"
        made_by = " ".join(filter(None, (classes.facts.name, classes.facts.pretrained)))
        raise EmbeddingFileError(
            f"cannot use {name}: made by {made_by} ({classes.fingerprint[:8]}), not by the model in use, "
            f"{title} ({fingerprint[:8]}); make it again or choose the other --model"
        )
    return classes


# --- arrays with metadata ---------------------------------------------------------------------------


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _write_npy(classes: ClassEmbeddings, path: Path) -> None:
    # Through memory: given a path, numpy adds an extension to LABELS.NPY, and given a file, it reports that the
    # disk is full in an error without a number.
    content = io.BytesIO()
    np.save(content, classes.vectors, allow_pickle=False)
    path.write_bytes(content.getvalue())


def _read_npy(path: Path) -> tuple[dict[str, Any], NDArray[np.float32]]:
    vectors = np.load(path, allow_pickle=False)
    return json.loads(_sidecar(path).read_text("utf-8")), vectors


def _write_npz(classes: ClassEmbeddings, path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, embeddings=classes.vectors, metadata=np.array(json.dumps(metadata_of(classes))))


def _read_npz(path: Path) -> tuple[dict[str, Any], NDArray[np.float32]]:
    with np.load(path, allow_pickle=False) as archive:
        return json.loads(str(archive["metadata"])), archive["embeddings"]


def _write_safetensors(classes: ClassEmbeddings, path: Path) -> None:
    from safetensors.numpy import save

    # Not save_file, whose error for a full disk is not an OSError.
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays_of(classes).items()}
    path.write_bytes(save(arrays, metadata={"clipcli": json.dumps(metadata_of(classes))}))


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = json.loads((file.metadata() or {})["clipcli"])
        return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary


def _write_parquet(classes: ClassEmbeddings, path: Path) -> None:
    arrow = pyarrow_or_error()
    metadata = metadata_of(classes)
    rows = arrow.FixedSizeListArray.from_arrays(arrow.array(classes.vectors.ravel()), classes.vectors.shape[1])
    columns = {
        "label": arrow.array(metadata["label"], arrow.string()),
        "group": arrow.array(metadata["group"], arrow.string()),
        "prompts": arrow.array(metadata["prompts"], arrow.list_(arrow.string())),
        "embedding": rows,
    }
    shared = {"clipcli": json.dumps({key: metadata[key] for key in SHARED})}
    arrow.parquet.write_table(arrow.table(columns).replace_schema_metadata(shared), path)


def _read_parquet(path: Path) -> tuple[dict[str, Any], NDArray[np.float32]]:
    table = pyarrow_or_error().parquet.read_table(path)
    metadata = json.loads(table.schema.metadata[b"clipcli"])
    metadata |= {name: table.column(name).to_pylist() for name in _ROWS}
    return metadata, np.array(table.column("embedding").to_pylist(), dtype=np.float32)


# --- rows of text -----------------------------------------------------------------------------------


def _rows(classes: ClassEmbeddings) -> Iterable[dict[str, Any]]:
    """Yield one self-contained row per class, with numbers that restore float32 bit for bit."""
    metadata = metadata_of(classes)
    shared = {key: metadata[key] for key in SHARED}
    for index, vector in enumerate(classes.vectors):
        yield (
            {name: metadata[name][index] for name in _ROWS} | shared | {"embedding": [float(str(x)) for x in vector]}
        )


def _write_jsonl(classes: ClassEmbeddings, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(classes))


def _read_jsonl(path: Path) -> tuple[dict[str, Any], NDArray[np.float32]]:
    with path.open(encoding="utf-8") as file:
        return _gathered([json.loads(line) for line in file])


def _write_csv(classes: ClassEmbeddings, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        dimensions = [f"e{index}" for index in range(classes.vectors.shape[1])]
        file.write(csv_line([*_ROWS, *SHARED, *dimensions]))
        for row in _rows(classes):
            own = (guarded(row["label"]), guarded(row["group"] or ""), json.dumps(row["prompts"], ensure_ascii=False))
            shared = (row["clipcli"], row["fingerprint"], json.dumps(row["model"]))
            file.write(csv_line([*own, *shared, *row["embedding"]]))


def _read_csv(path: Path) -> tuple[dict[str, Any], NDArray[np.float32]]:
    with path.open(encoding="utf-8-sig", newline="") as file, long_cells():  # those of a large ensemble's prompts are
        header, *table = (row for _, row in rows_of(file) if row)
    rows = [
        {
            "label": unguarded(row["label"]),
            "group": unguarded(row["group"]) or None,
            "prompts": json.loads(row["prompts"]),
            "fingerprint": row["fingerprint"],
            "model": json.loads(row["model"]),
            "embedding": [float(value) for name, value in row.items() if name[:1] == "e" and name[1:].isdigit()],
        }
        for row in (dict(zip(header, cells, strict=True)) for cells in table)
    ]
    return _gathered(rows)


def _gathered(rows: list[dict[str, Any]]) -> tuple[dict[str, Any], NDArray[np.float32]]:
    if len({row["fingerprint"] for row in rows}) != 1:
        raise ValueError("its rows come from different models" if rows else "it is empty")
    metadata = {"fingerprint": rows[0]["fingerprint"], "model": rows[0]["model"]}
    metadata |= {name: [row[name] for row in rows] for name in _ROWS}
    return metadata, np.array([row["embedding"] for row in rows], dtype=np.float32)


_Writer = Callable[[ClassEmbeddings, Path], None]
_Reader = Callable[[Path], tuple[dict[str, Any], NDArray[np.float32] | dict[str, NDArray[Any]]]]
_FORMATS: dict[str, tuple[_Writer, _Reader]] = {
    ".npy": (_write_npy, _read_npy),
    ".npz": (_write_npz, _read_npz),
    ".safetensors": (_write_safetensors, _read_safetensors),
    ".parquet": (_write_parquet, _read_parquet),
    ".csv": (_write_csv, _read_csv),
    ".jsonl": (_write_jsonl, _read_jsonl),
    ".json": (write_json, read_json),
}
SUFFIXES = tuple(_FORMATS)
"""The extensions of the formats."""
