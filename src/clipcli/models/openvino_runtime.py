"""OpenVINO's graphs at work: read from the cache or just made, they encode without torch and open_clip."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.models.mapped_weights import Tensors, attach_weights, detach_weights
from clipcli.models.openvino_graphs import GRAPH, TOKENIZER, read_manifest
from clipcli.models.saved_tokenizer import SavedTokenizer
from clipcli.models.tokenizer import Tokenizer
from clipcli.scoring.zeroshot import normalise

__all__ = [
    "Graph",
    "OpenVinoImageEncoder",
    "OpenVinoTextEncoder",
    "TextSettings",
    "import_openvino",
    "keep_graph",
    "link_weights",
    "openvino_precision",
    "read_graph",
]

_CONVERTER = "openvino.tools.ovc"
_HINTS = {"fp32": "f32", "bf16": "bf16"}
_TEXT_BATCH = 64

Settings = TypeVar("Settings")
SaveFiles = Callable[[Path, dict[str, Any], Callable[[Path], None]], None]


@dataclass(frozen=True)
class TextSettings:
    """The facts of a text encoder that are saved with its graph.

    Parameters
    ----------
    context_length
        Most tokens of a text.
    clean
        How texts are tidied, see :class:`~clipcli.models.tokenizer.Tokenizer`.
    read_out
        Where a causal encoder is read out, after which a batch may be cut: ``argmax``, the highest token, or ``eos``,
        the first token ``eos``; empty for encoders that read all of the text.
    """

    context_length: int
    clean: str
    read_out: str
    eos: int


@dataclass(frozen=True)
class Graph(Generic[Settings]):
    """An OpenVINO encoder with its settings and the model's scale and bias.

    A text encoder whose tokenizer comes from the hub has its form, see
    :func:`~clipcli.models.saved_tokenizer.saved_form`.
    """

    model: Any
    settings: Settings
    logit_scale: float
    logit_bias: float | None
    tokenizer: str = ""


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which would otherwise send usage data to its makers.

    Its converter, which takes long to import, is imported on its first use.

    Raises
    ------
    ModelError
        If it cannot be imported.
    """
    try:
        with _hidden("openvino_telemetry", _CONVERTER):
            import openvino
    except (ImportError, OSError, RuntimeError, AttributeError) as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise ModelError(f"cannot import openvino: {reason} (reinstall it, or use --engine torch)") from None
    if not hasattr(openvino, "convert_model"):
        openvino.convert_model = _convert_model
    return openvino


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Let OpenVINO take the path it has for people who did not install these modules."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _convert_model(*arguments: Any, **options: Any) -> Any:
    """Do what ``openvino.convert_model`` does, for others in this process; clipcli does not use it."""
    return import_module(_CONVERTER).convert_model(*arguments, **options)


@cache
def _core() -> Any:
    """Return OpenVINO's core, which loads the plugin for CPUs when it is first used."""
    return import_openvino().Core()


def openvino_precision(requested: str) -> str:
    """Turn ``--precision`` into ``fp32`` or ``bf16``; ``auto`` is bf16 where the processor multiplies it.

    Raises
    ------
    ModelError
        If it is another; for ``auto``, if OpenVINO cannot be imported.
    """
    if requested == "auto":
        return "bf16" if "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "fp32"
    if requested not in _HINTS:
        raise ModelError(f"--precision {requested}: --engine openvino computes in fp32 or bf16")
    return requested


def read_graph(folder: Path, kind: type[Settings], tensors: Tensors, made_of: str) -> Graph[Settings] | None:
    """Read a saved graph; ``None`` if there is none that is undamaged and was made of the same model.

    Parameters
    ----------
    kind
        The class of its settings.
    tensors
        The weights that are not saved with it, from :func:`~clipcli.models.mapped_weights.mapped_tensors`.
    made_of
        The fingerprint of the model.
    """
    try:
        about = read_manifest(folder)
        if about is None or about["made_of"] != made_of:
            return None
        settings = {name: tuple(each) if isinstance(each, list) else each for name, each in about["settings"].items()}
        model = _core().read_model(folder / GRAPH)
        attach_weights(import_openvino(), model, tensors)
        tokenizer = (folder / TOKENIZER).read_text("utf-8") if (folder / TOKENIZER).exists() else ""
        return Graph(model, kind(**settings), about["logit_scale"], about["logit_bias"], tokenizer)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError):
        return None


def link_weights(graph: Graph[Any], tensors: Tensors, save: Callable[[], None] | None = None) -> None:
    """Let a new graph use the weights in their file, as it does once it is saved and read: with the same digits.

    Parameters
    ----------
    save
        Called while the graph is without these weights.
    """
    openvino = import_openvino()
    detach_weights(openvino, graph.model, tensors)
    try:
        _fold_constants(graph.model)
        if save is not None:
            save()
    finally:
        attach_weights(openvino, graph.model, tensors)


def keep_graph(graph: Graph[Any], folder: Path, tensors: Tensors, made_of: str, save: SaveFiles) -> None:
    """Save a graph without the weights that are among ``tensors``.

    Parameters
    ----------
    save
        :func:`~clipcli.models.openvino_graphs.save_graph_files` or
        :func:`~clipcli.models.openvino_graphs.write_graph_files`.
    """

    def write(path: Path) -> None:
        import_openvino().save_model(graph.model, path, compress_to_fp16=False)
        if graph.tokenizer:
            (path.parent / TOKENIZER).write_text(graph.tokenizer, "utf-8")

    about = {
        "made_of": made_of, "settings": asdict(graph.settings), "logit_scale": graph.logit_scale,
        "logit_bias": graph.logit_bias,
    }  # fmt: skip
    link_weights(graph, tensors, lambda: save(folder, about, write))


def _fold_constants(model: Any) -> None:
    """Compute what depends on known sizes alone: a graph with fewer nodes is opened sooner."""
    from openvino.passes import ConstantFolding, Manager

    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)


def _compiled(graph: Graph[Any], precision: str) -> Any:
    hints = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
    return _core().compile_model(graph.model, "CPU", hints)


def _unit_rows(features: Any) -> NDArray[np.float32]:
    return normalise(np.asarray(features, dtype=np.float32))


class OpenVinoImageEncoder:
    """Images in, embeddings out; as :class:`clipcli.models.encoders.ImageEncoder`, on the CPU.

    Parameters
    ----------
    graph
        Converted, or from :func:`read_graph`.
    precision
        ``fp32`` or ``bf16``.
    """

    shares_processor = True

    def __init__(self, graph: Graph[Preprocessing], precision: str) -> None:
        self.preprocessing = graph.settings
        self._compiled = _compiled(graph, precision)

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
        return _unit_rows(features[: len(pixels)])


class OpenVinoTextEncoder:
    """Prompts in, embeddings out, in fp32; as :class:`clipcli.models.encoders.TextEncoder`, on the CPU.

    Parameters
    ----------
    graph
        Converted, or from :func:`read_graph`.
    """

    def __init__(self, graph: Graph[TextSettings]) -> None:
        self._settings = graph.settings
        self._tokenizer: Tokenizer | SavedTokenizer = (
            SavedTokenizer(graph.tokenizer, graph.settings.clean)
            if graph.tokenizer
            else Tokenizer(graph.settings.context_length, graph.settings.clean)
        )
        self._compiled = _compiled(graph, "fp32")

    def cut(self, prompts: Sequence[str]) -> list[bool]:
        """Return which prompts are longer than the model's context, and truncated."""
        return self._tokenizer.cut(prompts)

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Encode P prompts into (P, D) float32, each row of length one.

        Prompts of the same length go together, so that the digits of one do not depend on the others. Where the text
        encoder is causal, a batch is cut after the end-of-text token: what comes after it cannot reach it.
        """
        tokens = self._tokenizer(prompts)  # (P, L)
        lengths = self._lengths(tokens)
        rows: dict[int, NDArray[np.float32]] = {}
        for length in np.unique(lengths):
            alike = np.flatnonzero(lengths == length)
            for batch in np.split(alike, range(_TEXT_BATCH, len(alike), _TEXT_BATCH)):
                rows.update(zip(batch.tolist(), self._compiled([tokens[batch, :length]])[0].copy(), strict=True))
        return _unit_rows(np.stack([rows[place] for place in range(len(prompts))]))

    def _lengths(self, tokens: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return (P,) how many tokens of each prompt count: those up to the one that is read out."""
        if not self._settings.read_out:
            return np.full(len(tokens), tokens.shape[1])
        scores = tokens == self._settings.eos if self._settings.read_out == "eos" else tokens
        return np.asarray(scores.argmax(axis=1) + 1)
