"""Read the zip archives that ``torch.save`` and TorchScript write: the tensors in them, and nothing else.

torch's own loaders run code that is in a TorchScript archive, and unpack compressed entries to any size.
Here an archive is a list of places in a file: the pickle is read by :mod:`clipcli.models.tensor_pickle`, and the
numbers are mapped into memory where they lie.
"""

from __future__ import annotations

import mmap
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipcli.models.tensor_pickle import ITEM_BYTES, Module, NotTensorsError, StorageRecord, read_pickle
from clipcli.storage.zip_archive import DamagedZipError, opened_zip

if TYPE_CHECKING:
    import torch

__all__ = ["pickle_in", "read_archive"]

_LOCAL_HEADER = 30  # bytes of a zip entry before its name
_MOST_CODE = 16_000_000
_MOST_TENSORS, _DEEPEST = 100_000, 64
_CLASS = re.compile(r"^class (\w+)\(\w+\):\n((?:  .*\n|\n)*)", re.MULTILINE)
_NAMES = re.compile(r"^  __(?:parameters|buffers)__ = \[([^\]\n]*)\]", re.MULTILINE)


def pickle_in(archive: zipfile.ZipFile) -> zipfile.ZipInfo | None:
    """Return the entry that lists the tensors of a checkpoint, if there is one and it is not compressed.

    Raises
    ------
    NotTensorsError
        If there are several, or it is compressed.
    """
    found = [entry for entry in archive.infolist() if re.fullmatch(r"[^/]+/data\.pkl", entry.filename)]
    if len(found) > 1:
        raise NotTensorsError("it has several lists of tensors")
    if found and found[0].compress_type != zipfile.ZIP_STORED:
        raise NotTensorsError("it is compressed, which torch's archives are not")
    return found[0] if found else None


def read_archive(path: Path, *, mapped: bool = True) -> Any:
    """Read what ``torch.save`` or TorchScript wrote: plain values, with tensors on the CPU.

    Parameters
    ----------
    mapped
        Let the tensors lie in the file, mapped into memory: for those that are copied from and then dropped.

    Returns
    -------
    The object that was saved. For TorchScript, its state dict: (name, tensor) of all parameters and buffers.

    Raises
    ------
    NotTensorsError
        If there is anything else in it than plain values and tensors, or it is damaged.
    OSError
        If it cannot be read.
    """
    try:
        with opened_zip(path) as archive:
            return _Archive(path, archive, mapped).read()
    except DamagedZipError as problem:
        raise NotTensorsError(f"damaged ({problem})") from None


class _Archive:
    def __init__(self, path: Path, archive: zipfile.ZipFile, mapped: bool) -> None:
        self._zip, self._mapped = archive, mapped
        self._size = path.stat().st_size
        self._entries = {entry.filename: entry for entry in archive.infolist()}
        with path.open("rb") as file:
            # A private copy: what changes a tensor, changes it in memory alone.
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._buffers: dict[str, Any] = {}

    def read(self) -> Any:
        entry = pickle_in(self._zip)
        if entry is None:
            raise NotTensorsError("it is not a checkpoint (no data.pkl in it)")
        self._check(entry.filename.split("/")[0])
        start, stop = self._place(entry)
        value = read_pickle(self._map[start:stop], self._tensor)
        return _state_dict(value, self._declared()) if isinstance(value, Module) else value

    def _check(self, root: str) -> None:
        """Refuse entries that would come out larger than the file, and numbers in another byte order."""
        self._root = root
        if len(self._entries) != len(self._zip.infolist()):
            raise NotTensorsError("damaged (two entries of one name)")
        numbers = [entry for name, entry in self._entries.items() if name.startswith(f"{root}/data/")]
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in numbers):
            raise NotTensorsError("it is compressed, which torch's archives are not")
        if sum(entry.file_size for entry in numbers) > self._size:
            raise NotTensorsError("damaged (its entries are larger than the file)")
        order = self._entries.get(f"{root}/byteorder")
        if order is not None and self._zip.open(order).read(16) != b"little":
            raise NotTensorsError("its numbers are in another byte order")

    def _place(self, entry: zipfile.ZipInfo) -> tuple[int, int]:
        """Return where in the file an entry's bytes begin and end."""
        header = self._map[entry.header_offset : entry.header_offset + _LOCAL_HEADER]
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise NotTensorsError("damaged (an entry is not where it should be)")
        lengths = (int.from_bytes(header[place : place + 2], "little") for place in (26, 28))  # name and extra field
        start = entry.header_offset + _LOCAL_HEADER + sum(lengths)
        if start + entry.file_size > self._size:
            raise NotTensorsError("damaged (an entry is cut off)")
        return start, start + entry.file_size

    def _tensor(
        self, storage: StorageRecord, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> torch.Tensor:
        """Make a tensor of numbers in the file; what it asks of its storage was checked."""
        import torch

        dtype = getattr(torch, storage.dtype)
        if not storage.count:
            return torch.empty(size, dtype=dtype)
        if storage.key not in self._buffers:
            self._buffers[storage.key] = self._numbers(storage.key)
        buffer, start, length = self._buffers[storage.key]
        if storage.count * ITEM_BYTES[storage.dtype] > length:
            raise NotTensorsError("damaged (fewer numbers than its list says)")
        flat = torch.frombuffer(buffer, dtype=dtype, count=storage.count, offset=start)
        return flat.as_strided(size, stride, offset)

    def _numbers(self, key: str) -> tuple[Any, int, int]:
        """Return a buffer, and where in it the numbers of a storage begin and how many bytes they take."""
        entry = self._entries.get(f"{self._root}/data/{key}")
        if entry is None:
            raise NotTensorsError("damaged (numbers are missing)")
        start, stop = self._place(entry)
        if self._mapped and start % 8 == 0:
            return self._map, start, stop - start
        return bytearray(self._map[start:stop]), 0, stop - start

    def _declared(self) -> dict[str, frozenset[str]]:
        """Return which attributes of each TorchScript class are parameters or buffers; its code is only searched."""
        found: dict[str, frozenset[str]] = {}
        prefix = f"{self._root}/code/"
        code = [entry for name, entry in self._entries.items() if name.startswith(prefix) and name.endswith(".py")]
        if sum(entry.file_size for entry in code) > _MOST_CODE:
            raise NotTensorsError("damaged (its code is larger than any network's)")
        for entry in code:
            with self._zip.open(entry) as file:
                text = file.read(entry.file_size).decode("utf-8", errors="replace")
            module = entry.filename[len(prefix) : -len(".py")].replace("/", ".")
            for name, body in _CLASS.findall(text):
                names = " ".join(_NAMES.findall(body))
                found[f"{module}.{name}"] = frozenset(re.findall(r'"([^"]+)"', names))
        return found


def _state_dict(root: Module, declared: dict[str, frozenset[str]]) -> dict[str, torch.Tensor]:
    """Gather the tensors of TorchScript objects under the names that a state dict gives them."""
    import torch

    tensors: dict[str, torch.Tensor] = {}
    waiting: list[tuple[str, Module, int]] = [("", root, 0)]
    seen = 0
    while waiting:
        prefix, module, depth = waiting.pop()
        seen += 1 + len(module.fields)
        if depth > _DEEPEST or seen > _MOST_TENSORS:
            raise NotTensorsError("damaged (its modules contain each other)")
        known = declared.get(module.kind)
        for name, value in module.fields.items():
            if isinstance(value, Module):
                waiting.append((f"{prefix}{name}.", value, depth + 1))
            elif isinstance(value, torch.Tensor) and (known is None or name in known):
                tensors[prefix + name] = value
    return tensors
