"""The image encoder run by OpenVINO: several times faster than torch where there are convolutions.

The network is traced once and kept on disk as a graph, normalisation included. A later run reads the
graph and needs neither torch nor open_clip for its images, which saves most of its start-up.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.models.encoders import TextEncoder
from clipcli.models.engines import Opening
from clipcli.models.model import Model, open_model
from clipcli.models.openvino_graphs import GRAPH, graph_place, read_manifest, save_graph_files
from clipcli.scoring.zeroshot import normalise

__all__ = [
    "Backend",
    "Graph",
    "OpenVinoImageEncoder",
    "convert",
    "graph_folder",
    "keep_graph",
    "openvino_precision",
    "read_graph",
]

_FORM = 2  # to be raised when graphs are made in another way
_HINTS = {"fp32": "f32", "bf16": "bf16"}


@dataclass(frozen=True)
class Graph:
    """An image encoder as OpenVINO has it: (B, H, W, 3) bytes in, (B, D) float32 out."""

    model: Any
    preprocessing: Preprocessing


def _openvino() -> Any:
    """Import OpenVINO without its telemetry, which would otherwise send usage data to its makers.

    Raises
    ------
    ModelError
        If the extra is not installed.
    """
    try:
        with _without_telemetry():
            import openvino
    except ImportError as problem:
        raise ModelError(f"--engine openvino needs an extra: pip install 'clipcli[openvino]' ({problem})") from None
    return openvino


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Let OpenVINO take the path it has for people who did not install ``openvino-telemetry``."""
    name = "openvino_telemetry"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def openvino_precision(wish: str) -> str:
    """Turn ``--precision`` into ``fp32`` or ``bf16``; ``auto`` is bf16 where the processor multiplies it.

    Raises
    ------
    ModelError
        If it is another; for ``auto``, if the extra is not installed.
    """
    if wish == "auto":
        openvino = _openvino()
        return "bf16" if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "fp32"
    if wish not in _HINTS:
        raise ModelError(f"--precision {wish}: --engine openvino computes in fp32 or bf16")
    return wish


def convert(model: Model) -> Graph:
    """Trace a model's image encoder and make a graph of it, with the normalisation in front.

    Parameters
    ----------
    model
        Opened on the CPU in fp32.

    Raises
    ------
    ModelError
        If OpenVINO cannot express it.
    """
    openvino = _openvino()
    import torch

    encoder, preprocessing = model.image_encoder, model.image_encoder.preprocessing
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused kernel has no counterpart
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of branches that the trace settles; the input's size is fixed
            example = torch.zeros(2, 3, preprocessing.height, preprocessing.width)
            traced = torch.jit.trace(encoder.network.visual, example, check_trace=False)
            graph = _graph_of(traced, example)
        return Graph(_with_normalisation(openvino, graph, preprocessing), preprocessing)
    except RuntimeError as problem:
        reason = str(problem).strip().splitlines()[0][:200]
        raise ModelError(f"{model.source.title}: OpenVINO cannot run it ({reason}); use --engine torch") from None
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _graph_of(traced: Any, example: Any) -> Any:
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # openvino.convert_model does the same, but reports every use of it over the network.
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced, example_input=example)  # has to outlive the conversion
    return frontend.convert(frontend.load(decoder))


def _with_normalisation(openvino: Any, graph: Any, preprocessing: Preprocessing) -> Any:
    """Let a graph of normalised (B, 3, H, W) floats take (B, H, W, 3) bytes."""
    graph.reshape([-1, 3, preprocessing.height, preprocessing.width])
    factor, offset = (row.astype(float) for row in preprocessing.scale_and_shift())
    steps = openvino.preprocess.PrePostProcessor(graph)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    floats = steps.input().preprocess().convert_element_type(openvino.Type.f32)
    floats.mean((-offset / factor).tolist()).scale((1.0 / factor).tolist())
    return steps.build()


def graph_folder(cache: Path, fingerprint: str) -> Path:
    """Return where the graph of a model is kept: by what it was made from, and by what."""
    identity = f"{fingerprint} {_FORM} {_openvino().__version__}"
    return graph_place(cache, hashlib.sha256(identity.encode()).hexdigest()[:32])


def read_graph(folder: Path) -> Graph | None:
    """Read a graph that was kept; ``None`` if there is none whose files match their checksum."""
    try:
        about = read_manifest(folder)
        if about is None:
            return None
        preprocessing = Preprocessing(**{**about, "mean": tuple(about["mean"]), "std": tuple(about["std"])})
        return Graph(_openvino().Core().read_model(folder / GRAPH), preprocessing)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError):
        return None


def keep_graph(graph: Graph, folder: Path) -> None:
    """Keep a graph; whole or not at all. A disk that is full or write-protected is no error."""

    def write(path: Path) -> None:
        _openvino().save_model(graph.model, path, compress_to_fp16=False)

    save_graph_files(folder, asdict(graph.preprocessing), write)


class OpenVinoImageEncoder:
    """Images in, embeddings out; as :class:`clipcli.models.encoders.ImageEncoder`, on the CPU.

    Parameters
    ----------
    graph
        From :func:`convert` or :func:`read_graph`.
    precision
        ``fp32`` or ``bf16``.
    """

    shares_processor = True

    def __init__(self, graph: Graph, precision: str) -> None:
        self.preprocessing = graph.preprocessing
        hints = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
        self._compiled = _openvino().Core().compile_model(graph.model, "CPU", hints)

    def encode(self, pixels: Sequence[NDArray[np.uint8]], pad_to: int = 0) -> NDArray[np.float32]:
        """Encode N images, each (H, W, 3), into (N, D) float32, each row of length one.

        Parameters
        ----------
        pixels
            N arrays (H, W, 3), from :meth:`~clipcli.images.preprocess.Preprocessing.pixels`.
        pad_to
            Fill the batch up to this size, so that the result does not depend on N in its last digits.
        """
        batch = np.zeros((max(len(pixels), pad_to), *pixels[0].shape), np.uint8)
        np.stack(pixels, out=batch[: len(pixels)])
        features = self._compiled([batch])[0]
        return normalise(np.asarray(features[: len(pixels)], dtype=np.float32))


class Backend:
    """A model whose image encoder OpenVINO runs on the CPU; see :class:`clipcli.models.engines.Backend`."""

    device = "cpu with OpenVINO"

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    @cached_property
    def model(self) -> Model:
        """The model that is converted, which also encodes texts; opened on first use."""
        return open_model(self._opening.source, "cpu", "fp32")

    @property
    def is_loaded(self) -> bool:
        """Whether that had to be opened so far."""
        return "model" in self.__dict__

    def arithmetic(self) -> str:
        """Return what the image encoder computes in."""
        return openvino_precision(self._opening.precision)

    def image_encoder(self) -> OpenVinoImageEncoder:
        """Open the image encoder; it needs no model where it was converted before."""
        opening, folder = self._opening, None
        if opening.cache is not None:
            folder = graph_folder(opening.cache, opening.source.image_fingerprint(opening.sha256_of, "graph"))
        graph = read_graph(folder) if folder else None
        if graph is None:
            graph = convert(self.model)
            if folder:
                keep_graph(graph, folder)
        return OpenVinoImageEncoder(graph, self.arithmetic())

    def text_encoder(self) -> TextEncoder:
        """Return torch's text encoder."""
        return self.model.text_encoder
