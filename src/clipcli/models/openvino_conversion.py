"""From torch's encoders to OpenVINO's graphs: each is traced once, with examples of zeros.

What is traced has the weights as constants. The sizes that may change stay open: of the batch, and of the texts
where the encoder is causal, so that short prompts cost little.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clipcli.errors import ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.models.encoders import CausalTower
from clipcli.models.hub_tokenizer import hub_cleaner_of
from clipcli.models.model import Model
from clipcli.models.openvino_runtime import Graph, TextSettings, import_openvino
from clipcli.models.saved_tokenizer import saved_form
from clipcli.models.tokenizer import cleaner_of

__all__ = ["convert_image_encoder", "convert_text_encoder"]


def convert_image_encoder(model: Model) -> Graph[Preprocessing]:
    """Make a graph of a model's image encoder, with the normalisation in front.

    Parameters
    ----------
    model
        Opened on the CPU in fp32.

    Returns
    -------
    (B, H, W, 3) bytes in, (B, D) float32 out.

    Raises
    ------
    ModelError
        If OpenVINO cannot express it.
    """
    import torch

    preprocessing = model.image_encoder.preprocessing
    example = torch.zeros(2, 3, preprocessing.height, preprocessing.width)
    with _explained(model):
        graph = _graph_of(model.image_encoder.network.visual, example)
        graph = _with_normalisation(import_openvino(), graph, preprocessing)
    return Graph(graph, preprocessing, model.logit_scale, model.logit_bias)


def convert_text_encoder(model: Model) -> Graph[TextSettings]:
    """Make a graph of a model's text encoder: (B, L) int64 tokens in, (B, D) float32 out.

    Raises
    ------
    ModelError
        If OpenVINO cannot express it, or its tokenizer is of a rare kind.
    """
    import torch

    clean, tokenizer = _tokenizer_of(model)
    network, length = model.image_encoder.network, int(model.source.config["text_cfg"].get("context_length", 77))
    tower = CausalTower.of(network)
    with _explained(model):
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        if tower is None:
            graph = _graph_of(lambda tokens: network.encode_text(tokens), torch.zeros(2, length, dtype=torch.long))
            graph.reshape([-1, length])
        else:
            graph = _graph_of(tower.encode_traced, torch.zeros(2, min(length, 9), dtype=torch.long))
            graph.reshape([-1, -1])
    settings = TextSettings(length, clean, tower.read_out if tower else "", tower.eos or 0 if tower else 0)
    return Graph(graph, settings, model.logit_scale, model.logit_bias, tokenizer)


def _tokenizer_of(model: Model) -> tuple[str, str]:
    """Return how a model's texts are tidied, and the form of a tokenizer from the hub: empty for open_clip's own."""
    if (clean := cleaner_of(model.source)) is not None:
        return clean, ""
    clean = hub_cleaner_of(model.source.config["text_cfg"])
    try:
        return clean, saved_form(model.text_encoder.tokenizer, clean)
    except ModelError as problem:
        raise ModelError(f"{model.source.title}: {problem}") from None


@contextmanager
def _explained(model: Model) -> Iterator[None]:
    """Turn what tracing and converting raise into one line."""
    import torch

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused kernel has no counterpart
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of branches that the trace settles
            yield
    except (RuntimeError, AttributeError, TypeError, ValueError, LookupError) as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
        raise ModelError(f"{model.source.title}: OpenVINO cannot run it ({reason}); use --engine torch") from None
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _graph_of(encode: Callable[[Any], Any], example: Any) -> Any:
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    traced = torch.jit.trace(encode, example, check_trace=False)
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
