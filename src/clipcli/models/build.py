"""Make a network from files: open_clip builds it, its weights are loaded without running code.

All that is needed is on disk by the time this is called; the network is not used here.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

from clipcli.errors import CheckpointError, ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.log import quiet_loggers
from clipcli.models._torchvision import import_open_clip
from clipcli.models.hub import cached_file, network_forbidden
from clipcli.models.hub_tokenizer import check_text_model, load_tokenizer
from clipcli.models.source import CONFIG_NAME, ModelSource
from clipcli.models.state_dicts import check_arrays, read_state_dict
from clipcli.models.weight_kinds import OPENAI_BUFFERS, is_torchscript

__all__ = ["DTYPES", "learned_scale", "load_network", "new_network", "quiet_libraries"]

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""torch's names of the precisions."""

_BIG_VISION = (".npz", ".npy")
_OWN_SETTINGS = ("clean", "reduction_mask")  # of open_clip's built-in tokenizer
_RANDOM_INITS = ("normal", "uniform", "trunc_normal", "kaiming", "xavier", "orthogonal", "sparse")


def load_network(source: ModelSource, image_precision: str = "fp32") -> tuple[Any, Preprocessing, Any]:
    """Build the architecture and load its weights.

    Parameters
    ----------
    source
        The model's files.
    image_precision
        What the image encoder will compute in: ``fp32``, ``bf16`` or ``fp16``. Its batch normalisations stay
        in fp32 (as in open_clip's own ``convert_weights_to_lp``), the text encoder too.

    Returns
    -------
    open_clip's model, in evaluation mode on the CPU; what it wants of images; its tokenizer.

    Raises
    ------
    CheckpointError
        If the weights are damaged, would run code, or belong to another architecture.
    ModelError
        If open_clip cannot build it, or a needed extra is not there.
    """
    open_clip = import_open_clip()
    with quiet_libraries(), network_forbidden():
        weights = _read_weights(source)  # first: a file that is refused costs nothing
        with _no_random_weights():
            network = _build(open_clip, source)
        _check_size(network, source)
        _lower_precision(network.visual, image_precision)
        _load_weights(open_clip, network, source, weights)
        return network.eval(), _preprocessing(network, source), _tokenizer(open_clip, source)


def learned_scale(network: Any) -> tuple[float, float | None]:
    """Return a network's logit scale (the factor, not its logarithm), and the bias of a sigmoid model.

    Raises
    ------
    CheckpointError
        If they are not finite numbers.
    """
    bias = getattr(network, "logit_bias", None)
    scale = float(network.logit_scale.detach().float().exp())
    offset = None if bias is None else float(bias.detach().float())
    if not isfinite(scale) or not isfinite(offset or 0.0):
        raise CheckpointError("cannot use these weights: the logit scale or bias is not a finite number")
    return scale, offset


def new_network(source: ModelSource, seed: int) -> tuple[Any, Preprocessing, Any]:
    """Build the architecture with random weights, always the same ones for a seed; no weights file is read.

    Returns and raises as :func:`load_network` does.
    """
    import torch

    open_clip = import_open_clip()
    with quiet_libraries(), network_forbidden():
        torch.manual_seed(seed)
        network = _build(open_clip, source)
        return network.eval(), _preprocessing(network, source), _tokenizer(open_clip, source)


@contextmanager
def _no_random_weights() -> Iterator[None]:
    """Build without drawing random weights: every one will be loaded, and drawing takes longer than loading."""
    import torch
    from torch.overrides import TorchFunctionMode

    drawing = {torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_}

    class LeaveAsTheyAre(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            del types
            kwargs = kwargs or {}
            name = getattr(function, "__name__", "")
            if function in drawing or (
                getattr(function, "__module__", "") == "torch.nn.init" and name.startswith(_RANDOM_INITS)
            ):
                return args[0] if args else kwargs["tensor"]
            return function(*args, **kwargs)

    with LeaveAsTheyAre():
        yield


def _lower_precision(image_encoder: Any, precision: str) -> None:
    """Give the image encoder its precision, and the memory layout that convolutions are fastest in."""
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    image_encoder.to(dtype=getattr(torch, DTYPES[precision]), memory_format=torch.channels_last)
    for module in image_encoder.modules():
        if isinstance(module, _BatchNorm):
            module.float()


def _build(open_clip: Any, source: ModelSource) -> Any:
    """Let open_clip build the architecture, from settings that were checked and from those alone."""
    text = source.config["text_cfg"]
    if text.get("hf_model_name"):
        check_text_model(text["hf_model_name"], cached_file(text["hf_model_name"], "config.json"), source.title)
    with tempfile.TemporaryDirectory(prefix="clipcli-") as folder:
        config = {"model_cfg": source.config, "preprocess_cfg": source.preprocess}
        (Path(folder) / CONFIG_NAME).write_text(json.dumps(config), encoding="utf-8")
        try:
            return open_clip.create_model(
                f"local-dir:{folder}" if source.architecture.startswith("local-dir:") else source.architecture,
                load_weights=False,
                force_quick_gelu=source.quick_gelu,
                force_preprocess_cfg=source.preprocess,
                pretrained_text=False,
            )
        except MemoryError:
            raise
        except Exception as problem:
            raise ModelError(f"{source.title}: open_clip cannot build it ({_one_line(problem)})") from problem


def _preprocessing(network: Any, source: ModelSource) -> Preprocessing:
    try:
        return Preprocessing.from_config(network.visual.preprocess_cfg)
    except (KeyError, IndexError, TypeError, ValueError) as problem:
        raise ModelError(f"{source.title}: its preprocessing cannot be used: {source.preprocess}") from problem


def _read_weights(source: ModelSource) -> dict[str, Any] | None:
    """Read the weights; ``None`` for those of big_vision, which open_clip reads by itself."""
    path = source.checkpoint
    try:
        if path.suffix not in _BIG_VISION:
            return read_state_dict(path)
        check_arrays(path)
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror or _one_line(problem)}") from None
    return None


def _load_weights(open_clip: Any, network: Any, source: ModelSource, weights: dict[str, Any] | None) -> None:
    path = source.checkpoint
    try:
        if weights is None:
            open_clip.load_checkpoint(network, str(path), strict=True)
            return
        own = _for_network(weights, network, archived=is_torchscript(path))
        with _read_already(open_clip, own):
            open_clip.load_checkpoint(network, str(path), strict=True)
    except (RuntimeError, KeyError, AttributeError, TypeError, ValueError, EOFError, StopIteration) as problem:
        raise CheckpointError(_misfit(path.name, source, problem)) from None
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror or _one_line(problem)}") from None


def _check_size(network: Any, source: ModelSource) -> None:
    """Refuse a network that its weights cannot fill, before its memory is touched."""
    needed, size = sum(tensor.numel() for tensor in network.parameters()), source.checkpoint.stat().st_size
    if source.checkpoint.suffix not in _BIG_VISION and needed > size:  # a number takes a byte at least
        raise CheckpointError(
            f"{source.checkpoint.name}: these weights are of another architecture than {source.architecture} "
            f"(tensors missing: {needed:,} numbers are needed, the file has {size:,} bytes)"
        )


def _for_network(weights: dict[str, Any], network: Any, *, archived: bool) -> dict[str, Any]:
    """Leave out tensors that are stored with the weights but do not belong to the network.

    OpenAI's buffers; and in a TorchScript archive, the buffers that other forms do not save.
    """
    computed = {name for name, _ in network.named_buffers()} if archived else set()
    extra = (OPENAI_BUFFERS | computed) - set(network.state_dict())
    return {name: tensor for name, tensor in weights.items() if name not in extra}


@contextmanager
def _read_already(open_clip: Any, weights: dict[str, Any]) -> Iterator[None]:
    """Give open_clip's loader, which converts and resizes weights, tensors in place of what is in a file."""
    module = open_clip.factory
    before = module.load_state_dict
    module.load_state_dict = lambda *_, **__: weights
    try:
        yield
    finally:
        module.load_state_dict = before


def _misfit(file_name: str, source: ModelSource, problem: Exception) -> str:
    text = str(problem)
    if "Error(s) in loading state_dict" not in text and "Missing key" not in text and "size mismatch" not in text:
        return f"{file_name}: cannot be loaded as {source.architecture} ({_one_line(problem)})"
    reasons = [
        f"{text.count(mark)} {what}"
        for mark, what in (("size mismatch for", "tensors of another shape"),)
        if text.count(mark)
    ]
    if "Missing key" in text:
        reasons.append("tensors missing")
    if "Unexpected key" in text:
        reasons.append("tensors it does not know")
    return f"{file_name}: these weights are of another architecture than {source.architecture} ({', '.join(reasons)})"


def _tokenizer(open_clip: Any, source: ModelSource) -> Any:
    """Make the tokenizer that the config names, from local files only."""
    text = source.config["text_cfg"]
    if source.tokenizer_folder is not None:
        return load_tokenizer(open_clip, source.tokenizer_folder, text, source.title)
    settings = {key: value for key, value in (text.get("tokenizer_kwargs") or {}).items() if key in _OWN_SETTINGS}
    return open_clip.tokenizer.SimpleTokenizer(context_length=text.get("context_length", 77), **settings)


def _one_line(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0][:200] if lines else type(problem).__name__


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence open_clip's messages ("initialized randomly", before the weights are loaded).

    open_clip logs with the functions of ``logging``: on the root logger, and where that has no handler, these give
    it one. Both would change what the caller sees.
    """
    placeholder = logging.NullHandler()
    logging.root.addHandler(placeholder)
    logging.root.addFilter(_is_severe)
    try:
        with warnings.catch_warnings(), quiet_loggers("open_clip", "timm", "transformers"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.removeFilter(_is_severe)
        logging.root.removeHandler(placeholder)


def _is_severe(record: logging.LogRecord) -> bool:
    return record.levelno > logging.WARNING
