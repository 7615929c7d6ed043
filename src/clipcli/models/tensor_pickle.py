"""Read the pickle of a checkpoint without running anything: plain values and tensors come out, or a refusal.

A pickle is a program for a stack machine. This is a separate machine that has only the instructions
torch writes, makes only plain values, and calls nothing but the functions named below. TorchScript's
module objects become their attributes; their code is not looked at.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clipcli.text import one_line

__all__ = ["ITEM_BYTES", "MOST_BYTES", "RUNS_CODE", "Module", "NotTensorsError", "StorageRecord", "read_pickle"]

RUNS_CODE = "it would run code when loaded"
"""The reason for which a pickle is refused."""

MOST_BYTES = 2_000_000  # of instructions; those of the largest CLIP model with its optimiser take a quarter of this
_MOST_DIMENSIONS = 16
_MOST_ELEMENTS = 1 << 48

ITEM_BYTES = {
    "float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "uint8": 1, "int8": 1, "int16": 2, "int32": 4,
    "int64": 8, "bool": 1,
}  # fmt: skip
"""Bytes of one number, by torch's name of its type."""

_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "ByteStorage": "uint8", "CharStorage": "int8", "ShortStorage": "int16", "IntStorage": "int32",
    "LongStorage": "int64", "BoolStorage": "bool",
}  # fmt: skip
_SIMPLE_KEYS = (str, int, float, bool, type(None))


class NotTensorsError(Exception):
    """A checkpoint holds something else than tensors and plain values, or is damaged.

    Parameters
    ----------
    reason
        For people.
    runs_code
        Whether a loader that trusts the file would run code in it.
    """

    def __init__(self, reason: str, *, runs_code: bool = False) -> None:
        super().__init__(one_line(reason))  # names from the file are quoted in it
        self.runs_code = runs_code


@dataclass(frozen=True)
class StorageRecord:
    """Where the numbers of one or more tensors are: torch's name of their type, the record's key, and how many."""

    dtype: str
    key: str
    count: int


@dataclass
class Module:
    """A TorchScript object: the qualified name of its class, and its attributes."""

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Global:
    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


MakeTensor = Callable[[StorageRecord, int, tuple[int, ...], tuple[int, ...]], Any]


def read_pickle(data: bytes, make_tensor: MakeTensor) -> Any:
    """Run a checkpoint's pickle in a machine that can make plain values and tensors alone.

    Parameters
    ----------
    data
        The pickle.
    make_tensor
        Called with a storage, an offset, sizes and strides in elements, all of which fit into the storage
        that the pickle describes; it has to check that against the real one.

    Raises
    ------
    NotTensorsError
        If anything else is in it.
    """
    if len(data) > MOST_BYTES:
        raise NotTensorsError(f"its list of tensors takes {len(data):,} bytes, which is too many")
    machine = _Machine(make_tensor)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as problem:
        raise NotTensorsError(f"damaged ({str(problem)[:100] or type(problem).__name__})") from None
    raise NotTensorsError("damaged (its list of tensors has no end)")


class _Machine:
    """The stack machine: a stack, the stacks below each mark, and a memo."""

    def __init__(self, make_tensor: MakeTensor) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._make_tensor = make_tensor

    def result(self) -> Any:
        """Return the only value that is left."""
        (value,) = self._stack
        return value

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name in _PUSHED:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif name == "MARK":
            self._below.append(self._stack)
            self._stack = []
        elif name == "GLOBAL":
            module, _, member = argument.rpartition(" ")
            self._stack.append(_Global(module, member))
        elif name in _OPERATIONS:
            _OPERATIONS[name](self)
        elif name != "PROTO":
            raise NotTensorsError(f"{RUNS_CODE} (pickle instruction {name})", runs_code=True)

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def tuple_since_mark(self) -> None:
        """Replace all items since the mark by a tuple of them."""
        items = tuple(self._since_mark())
        self._stack.append(items)

    def tuple_of(self, count: int) -> None:
        """Replace the last items by a tuple of them."""
        items = tuple(self._stack[-count:])
        if len(items) != count:
            raise IndexError("too few items")
        del self._stack[-count:]
        self._stack.append(items)

    def append(self) -> None:
        """Add the last item to the list below it."""
        self._extend([self._stack.pop()])

    def appends(self) -> None:
        """Add all items since the mark to the list below it."""
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise TypeError("items for what is not a list")
        self._stack[-1].extend(items)

    def set_item(self) -> None:
        """Add the last two items, a key and its value, to the mapping below them."""
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def set_items(self) -> None:
        """Add all keys and values since the mark to the mapping below it."""
        self._set(self._since_mark())

    def _set(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not dict or len(items) % 2:
            raise TypeError("entries for what is not a mapping")
        self._stack[-1].update(_mapping(zip(items[::2], items[1::2], strict=True)))

    def new(self) -> None:
        """Make a TorchScript object, without attributes so far."""
        arguments, kind = self._stack.pop(), self._stack.pop()
        if not isinstance(kind, _Global) or kind.module.split(".")[0] != "__torch__" or arguments != ():
            raise NotTensorsError(f"{RUNS_CODE} ({str(kind)[:100]})", runs_code=True)
        self._stack.append(Module(str(kind)))

    def build(self) -> None:
        """Give an object its attributes; those of a mapping are metadata and left out."""
        state, target = self._stack.pop(), self._stack[-1]
        if type(target) is dict:
            return
        if not isinstance(target, Module) or type(state) is not dict or not all(type(key) is str for key in state):
            kind = target.kind if isinstance(target, Module) else type(target).__name__
            raise NotTensorsError(f"{RUNS_CODE} (the state of {kind[:100]})", runs_code=True)
        target.fields = state

    def call(self) -> None:
        """Call one of the few known functions, in clipcli's implementation."""
        arguments, function = self._stack.pop(), self._stack.pop()
        known = _FUNCTIONS.get(str(function)) if isinstance(function, _Global) else None
        if known is None or type(arguments) is not tuple:
            raise NotTensorsError(f"{RUNS_CODE} ({str(function)[:100]})", runs_code=True)
        self._stack.append(known(self._make_tensor, *arguments))

    def storage(self) -> None:
        """Turn the description of a storage into one that is checked."""
        kind, storage, key, _, count = self._stack.pop()
        dtype = _STORAGES.get(storage.name) if isinstance(storage, _Global) and storage.module == "torch" else None
        if kind != "storage" or dtype is None or type(key) is not str or not _is_count(count):
            raise NotTensorsError(f"numbers of a kind that is not known ({str(storage)[:100]})")
        self._stack.append(StorageRecord(dtype, key, count))


def _mapping(pairs: Any) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key, value in pairs:
        if type(key) not in _SIMPLE_KEYS:  # the hash of another may take forever, or all of the C stack
            raise TypeError("a key that is not a plain value")
        made[key] = value
    return made


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST_ELEMENTS


def _tensor(make: MakeTensor, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Any:
    """Check a tensor's place in its storage, then make it."""
    if not isinstance(storage, StorageRecord) or not _is_count(offset):
        raise NotTensorsError("damaged (a tensor without numbers)")
    for numbers in (size, stride):
        if type(numbers) is not tuple or len(numbers) > _MOST_DIMENSIONS or not all(map(_is_count, numbers)):
            raise NotTensorsError("damaged (a tensor of a size that cannot be)")
    if len(size) != len(stride):
        raise NotTensorsError("damaged (a tensor of a size that cannot be)")
    count = 1
    for number in size:
        count *= number
    last = offset + sum((number - 1) * step for number, step in zip(size, stride, strict=True))
    if count and (last >= storage.count or count > storage.count):
        raise NotTensorsError("damaged (a tensor that is larger than its storage)")
    return make(storage, offset, size, stride)


def _ordered(_: MakeTensor, pairs: Any = ()) -> dict[Any, Any]:
    return _mapping(pairs)


def _first(_: MakeTensor, value: Any, *__: Any) -> Any:
    """Return what was given: parameters count as tensors, typed lists as lists."""
    return value


_PUSHED = frozenset({"BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"})
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list, "EMPTY_DICT": dict,
}  # fmt: skip
_OPERATIONS: Mapping[str, Callable[[_Machine], None]] = {
    "TUPLE": _Machine.tuple_since_mark, "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2), "TUPLE3": lambda machine: machine.tuple_of(3),
    "APPEND": _Machine.append, "APPENDS": _Machine.appends, "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items, "NEWOBJ": _Machine.new, "BUILD": _Machine.build, "REDUCE": _Machine.call,
    "BINPERSID": _Machine.storage,
}  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch.jit._pickle.build_intlist": _first,
    "torch.jit._pickle.build_boollist": _first,
    "torch.jit._pickle.build_doublelist": _first,
    "torch.jit._pickle.build_tensorlist": _first,
    "torch.jit._pickle.restore_type_tag": _first,
    "torch.Size": _first,
    "torch.device": _first,
    "collections.OrderedDict": _ordered,
}
