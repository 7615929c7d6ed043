"""The engine that runs a model's encoders with OpenVINO on the CPU: faster there than torch, and sooner ready.

Each encoder is converted once and saved on disk as a graph. A later run reads the graphs, and needs neither torch nor
open_clip, which saves most of its start-up. The built-in model comes with its graphs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from clipcli.errors import CheckpointError, ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.log import LOG
from clipcli.models.backend import Opening, TextEncoder
from clipcli.models.mapped_weights import Tensors, mapped_tensors
from clipcli.models.openvino_graphs import graph_place, mark_used, save_graph_files
from clipcli.models.openvino_runtime import (
    Graph,
    OpenVinoImageEncoder,
    OpenVinoTextEncoder,
    Settings,
    TextSettings,
    import_openvino,
    keep_graph,
    link_weights,
    openvino_precision,
    read_graph,
)

if TYPE_CHECKING:
    from clipcli.models.model import Model

__all__ = ["Backend"]

_FORM = 5  # to be raised when graphs are made in another way


class Backend:
    """A model run by OpenVINO; see :class:`clipcli.models.backend.Backend`."""

    device = "cpu with OpenVINO"

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    @cached_property
    def model(self) -> Model:
        """The model that is converted, opened on first use."""
        from clipcli.models.model import open_model

        return open_model(self._opening.source, "cpu", "fp32")

    @property
    def is_loaded(self) -> bool:
        """Whether that had to be opened so far."""
        return "model" in self.__dict__

    def arithmetic(self) -> str:
        """Return what the image encoder computes in."""
        return openvino_precision(self._opening.precision)

    def scale(self) -> tuple[float, float | None]:
        """Return the model's logit scale and bias, from a graph that is open where there is one."""
        for name in ("_image_graph", "_text_graph"):
            if (graph := self.__dict__.get(name)) is not None:
                return graph.logit_scale, graph.logit_bias
        return self.model.logit_scale, self.model.logit_bias

    def image_encoder(self) -> OpenVinoImageEncoder:
        """Open the image encoder; it needs no model where it was converted before."""
        return self._image_encoder

    def text_encoder(self) -> TextEncoder:
        """Open the text encoder; it needs no model where it was converted before.

        A model keeps torch's if OpenVINO cannot express it, or its tokenizer is of a rare kind.
        """
        return self._text_encoder

    @cached_property
    def _text_encoder(self) -> TextEncoder:
        try:
            return OpenVinoTextEncoder(self._text_graph)
        except CheckpointError:
            raise
        except ModelError as problem:
            LOG.info(f"texts are encoded with torch: {problem}")
            return self.model.text_encoder

    @cached_property
    def _image_encoder(self) -> OpenVinoImageEncoder:
        return OpenVinoImageEncoder(self._image_graph, self.arithmetic())

    @cached_property
    def _image_graph(self) -> Graph[Preprocessing]:
        def convert() -> Graph[Preprocessing]:
            from clipcli.models.openvino_conversion import convert_image_encoder

            return convert_image_encoder(self.model)

        fingerprint = self._opening.source.image_fingerprint(self._opening.sha256_of, "graph")
        return self._kept("image", fingerprint, Preprocessing, convert)

    @cached_property
    def _text_graph(self) -> Graph[TextSettings]:
        def convert() -> Graph[TextSettings]:
            from clipcli.models.openvino_conversion import convert_text_encoder

            return convert_text_encoder(self.model)

        return self._kept("text", self._opening.source.fingerprint(self._opening.sha256_of), TextSettings, convert)

    @cached_property
    def _tensors(self) -> Tensors:
        """The weights that graphs need not contain, because they can be mapped from their file."""
        path = self._opening.source.checkpoint
        try:
            return mapped_tensors(path) if path.suffix == ".safetensors" else {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}  # damaged: to convert it fails with the reason

    def _kept(
        self, encoder: str, made_of: str, kind: type[Settings], convert: Callable[[], Graph[Settings]]
    ) -> Graph[Settings]:
        """Read a graph, or make it and save it in the cache: by what it was made from, and by what.

        Parameters
        ----------
        encoder
            ``image`` or ``text``.
        made_of
            The fingerprint of the model.
        """
        opening, graph = self._opening, None
        if opening.source.graphs is not None:
            graph = read_graph(opening.source.graphs / encoder, kind, self._tensors, made_of)
        if graph is not None:
            return graph
        if opening.cache is None:
            graph = convert()
            link_weights(graph, self._tensors)
            return graph
        identity = f"{made_of} {encoder} {_FORM} {import_openvino().__version__}"
        folder = graph_place(opening.cache, hashlib.sha256(identity.encode()).hexdigest()[:32])
        graph = read_graph(folder, kind, self._tensors, made_of)
        if graph is None:
            graph = convert()
            keep_graph(graph, folder, self._tensors, made_of, save_graph_files)
        else:
            mark_used(folder)
        return graph
