"""The weights of a graph that stay in the model's own file, so that they are stored once on disk.

A graph whose weights are in a ``.safetensors`` file has a parameter in the place of each of them, named after its
tensor. When the graph is opened, constants that refer to the memory-mapped file take their places.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["attach_weights", "detach_weights", "mapped_tensors"]

Tensors = Mapping[str, NDArray[np.floating[Any]]]

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
_PREFIX = "weight:"
_SMALLEST = 64  # numbers; smaller constants stay in the graph
_LARGEST_HEADER = 100_000_000  # bytes, as the safetensors library has it


def mapped_tensors(path: Path) -> dict[str, NDArray[np.floating[Any]]]:
    """Map the tensors of a ``.safetensors`` file that are fp32 or fp16.

    Returns
    -------
    Arrays of one dimension, which are read from disk when they are used. Writing to them does not change the file.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read or is damaged.
    """
    raw = np.memmap(path, np.uint8, "c")  # the graph library takes no array that is read-only
    start = 8 + int.from_bytes(raw[:8].tobytes(), "little")
    if not 8 <= start <= min(len(raw), _LARGEST_HEADER):
        raise ValueError("damaged header")
    header = json.loads(raw[8:start].tobytes())
    found: dict[str, NDArray[np.floating[Any]]] = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in _DTYPES:
            continue
        dtype, (first, last) = _DTYPES[entry["dtype"]], entry["data_offsets"]
        if not 0 <= first <= last <= len(raw) - start or last - first != prod(entry["shape"]) * dtype.itemsize:
            raise ValueError(f"damaged entry of {name}")
        found[name] = raw[start + first : start + last].view(dtype)
    return found


def detach_weights(openvino: Any, graph: Any, tensors: Tensors) -> None:
    """Put a parameter in the place of each fp32 constant whose numbers are those of a tensor.

    Parameters
    ----------
    openvino
        The library.
    graph
        An ``openvino.Model``, which is changed.
    tensors
        From :func:`mapped_tensors`.
    """
    by_start: dict[tuple[int, bytes], list[tuple[str, NDArray[np.float32]]]] = {}
    for title, tensor in tensors.items():
        start = tensor[:_SMALLEST].astype(np.float32).tobytes()
        by_start.setdefault((tensor.size, start), []).append((title, tensor))
    parameters = []
    for node in graph.get_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() != openvino.Type.f32:
            continue
        values = np.asarray(node.data).reshape(-1)
        if values.size < _SMALLEST:
            continue
        candidates = by_start.get((values.size, values[:_SMALLEST].tobytes()), ())
        same = (name for name, tensor in candidates if np.array_equal(tensor.astype(np.float32), values))
        if name := next(same, ""):
            parameter = openvino.opset13.parameter(list(node.get_output_shape(0)), openvino.Type.f32)
            parameter.set_friendly_name(_PREFIX + name)
            node.output(0).replace(parameter.output(0))
            parameters.append(parameter)
    graph.add_parameters(parameters)


def attach_weights(openvino: Any, graph: Any, tensors: Tensors) -> None:
    """Put the tensors back into a graph, where :func:`detach_weights` took them out; nothing is copied.

    Raises
    ------
    KeyError, ValueError
        If a tensor is missing or has another size.
    """
    for parameter in list(graph.get_parameters()):
        name = parameter.get_friendly_name()
        if not name.startswith(_PREFIX):
            continue
        tensor = tensors[name.removeprefix(_PREFIX)].reshape(list(parameter.get_output_shape(0)))
        constant = openvino.op.Constant(np.require(tensor, requirements="A"), shared_memory=True)
        node = constant if tensor.dtype == np.float32 else openvino.opset13.convert(constant, "f32")
        parameter.output(0).replace(node.output(0))
        graph.remove_parameter(parameter)
