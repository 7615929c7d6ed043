"""Make a network from files: open_clip builds it, its weights are loaded without running code.

All that is needed is on disk by the time this is called; the network is not used here.
"""

from __future__ import annotations

import logging
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from clipcli._torchvision import import_open_clip
from clipcli.checkpoints import OPENAI_BUFFERS, has_openai_buffers, is_torchscript
from clipcli.errors import CheckpointError, ModelError
from clipcli.hub import network_forbidden
from clipcli.preprocess import Preprocessing
from clipcli.sources import ModelSource

__all__ = ["DTYPES", "learned_scale", "load_network", "new_network", "quiet_libraries"]

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""torch's names of the precisions."""

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
        with _no_random_weights():
            network = _build(open_clip, source)
        _lower_precision(network.visual, image_precision)
        with _mapped_checkpoints(source.checkpoint):
            _load_weights(open_clip, network, source)
        return network.eval(), _preprocessing(network, source), _tokenizer(open_clip, source)


def learned_scale(network: Any) -> tuple[float, float | None]:
    """Return a network's logit scale (the factor, not its logarithm), and the bias of a sigmoid model."""
    bias = getattr(network, "logit_bias", None)
    scale = float(network.logit_scale.detach().float().exp())
    return scale, None if bias is None else float(bias.detach().float())


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


@contextmanager
def _mapped_checkpoints(path: Path) -> Iterator[None]:
    """Let torch map a checkpoint into memory rather than read it whole, where torch and the file allow it."""
    try:
        config: Any = import_module("torch.utils.serialization").config
    except ImportError:  # torch < 2.6
        yield
        return
    with config.patch("load.mmap", zipfile.is_zipfile(path)):
        yield


def _build(open_clip: Any, source: ModelSource) -> Any:
    try:
        return open_clip.create_model(
            source.architecture,
            load_weights=False,
            force_quick_gelu=source.quick_gelu,
            force_preprocess_cfg=source.preprocess,
            pretrained_text=False,
        )
    except Exception as problem:
        raise ModelError(f"{source.title}: open_clip cannot build it ({_one_line(problem)})") from problem


def _preprocessing(network: Any, source: ModelSource) -> Preprocessing:
    try:
        return Preprocessing.from_config(network.visual.preprocess_cfg)
    except (KeyError, IndexError, TypeError, ValueError) as problem:
        raise ModelError(f"{source.title}: its preprocessing cannot be used: {source.preprocess}") from problem


def _load_weights(open_clip: Any, network: Any, source: ModelSource) -> None:
    path = source.checkpoint
    try:
        if is_torchscript(path) or has_openai_buffers(path):
            _load_openai(open_clip, network, path)
        else:
            open_clip.load_checkpoint(network, str(path), strict=True, weights_only=True)
    except pickle.UnpicklingError as problem:
        reason = "it would run code when loaded" if "GLOBAL" in str(problem) else "it is no checkpoint"
        raise CheckpointError(
            f"{path}: refused, {reason}; safe formats are .safetensors and plain state dicts"
        ) from None
    except (
        RuntimeError,
        KeyError,
        AttributeError,
        TypeError,
        ValueError,
        EOFError,
        StopIteration,
    ) as problem:
        raise CheckpointError(_misfit(path.name, source, problem)) from None
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror or _one_line(problem)}") from None
    except Exception as problem:  # SafetensorError derives from Exception alone
        raise CheckpointError(f"{path}: damaged ({_one_line(problem)})") from problem


def _load_openai(open_clip: Any, network: Any, path: Path) -> None:
    """Load weights with the buffers that OpenAI stored beside them and that no network has.

    Published as a TorchScript archive, which cannot carry Python code.
    """
    import torch

    if is_torchscript(path):
        weights = torch.jit.load(str(path), map_location="cpu").state_dict()
    else:
        weights = open_clip.factory.load_state_dict(str(path), weights_only=True)
    weights = {name: tensor for name, tensor in weights.items() if name not in OPENAI_BUFFERS}
    if not hasattr(network, "positional_embedding"):
        weights = open_clip.model.convert_to_custom_text_state_dict(weights)
    network.load_state_dict(weights, strict=True)


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
    settings = dict(text.get("tokenizer_kwargs") or {})
    context_length = text.get("context_length", 77)
    if source.tokenizer_folder is None:
        return open_clip.tokenizer.SimpleTokenizer(context_length=context_length, **settings)
    if "siglip" in str(text.get("hf_tokenizer_name")).lower():
        settings.setdefault("clean", "canonicalize")  # SigLIP was trained on lower case without punctuation
    try:
        return open_clip.tokenizer.HFTokenizer(
            str(source.tokenizer_folder),
            context_length=context_length,
            tokenizer_mode=text.get("tokenizer_mode"),
            **settings,
        )
    except ImportError:
        raise ModelError(f"{source.title}: its tokenizer needs an extra: pip install 'clipcli[siglip]'") from None
    except Exception as problem:
        raise ModelError(f"{source.title}: its tokenizer cannot be loaded ({_one_line(problem)})") from problem


def _one_line(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0][:200] if lines else type(problem).__name__


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep open_clip's remarks ("initialized randomly", said before we load) off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
