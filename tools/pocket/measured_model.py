"""A model folder as the measurements need it: unit vectors of pictures and texts, and the features before the head.

The features of a picture are computed once for each image network and saved, so that another head on the same
network is measured within seconds. OpenVINO runs the network where it is installed (in fp32, as torch does).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from clipcli import Embedder
from clipcli.labels.templates import resolve_templates
from clipcli.scoring.zeroshot import normalise

Array = npt.NDArray[np.float32]
BATCH = 16


@dataclass(frozen=True)
class Item:
    """A picture to measure on. ``key`` names it in the cache of features: equal keys mean equal pictures."""

    key: str
    open: Callable[[], Image.Image]  # in RGB


class MeasuredModel:
    """The two encoders of an open_clip model folder, in fp32 on the CPU.

    Parameters
    ----------
    folder
        An open_clip model folder.
    work
        Where features are cached.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        model = Embedder(f"local-dir:{folder.resolve()}", precision="fp32", device="cpu", cache=False).model
        self.scale = model.logit_scale
        self._text, self._preprocessing = model.text_encoder, model.image_encoder.preprocessing
        visual = model.image_encoder.network.visual
        split = hasattr(visual, "trunk") and hasattr(visual, "head")
        self._trunk: torch.nn.Module = visual.trunk if split else visual
        self._head: torch.nn.Module = visual.head if split else torch.nn.Identity()
        self._template = resolve_templates()[0]
        digest = hashlib.sha256(repr(self._preprocessing).encode())
        for name, tensor in sorted(self._trunk.state_dict().items()):
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
        self.network_id = digest.hexdigest()[:12]
        self._cache = _FeatureCache(work / f"features-{self.network_id}")
        self._run: Callable[[torch.Tensor], Array] | None = None
        self._known_texts: dict[str, Array] = {}  # lists share most of their words

    def features(self, items: Sequence[Item]) -> Array:
        """Encode pictures up to the head: (N, F) float32, from the cache where they are known."""
        missing = [item for item in {item.key: item for item in items}.values() if item.key not in self._cache]
        for block in _blocks(missing, 256):
            self._cache.add([item.key for item in block], np.concatenate(list(self._encode(block))))
        return self._cache.rows([item.key for item in items])

    @torch.inference_mode()
    def project(self, features: Array) -> Array:
        """Apply the head: (N, F) -> (N, D) float32 of unit length."""
        return normalise(self._head(torch.from_numpy(features)).numpy())

    def images(self, items: Sequence[Item]) -> Array:
        """Encode pictures: (N, D) float32 of unit length."""
        return self.project(self.features(items))

    def labels(self, words: Sequence[str]) -> Array:
        """Encode words in clipcli's default prompt: (W, D) float32 of unit length."""
        return self.texts([self._template.fill(word) for word in words])

    def texts(self, texts: Sequence[str]) -> Array:
        """Encode texts as they are: (T, D) float32 of unit length."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._known_texts]
        if missing:
            self._known_texts.update(zip(missing, self._text.encode(missing), strict=True))
        return np.stack([self._known_texts[text] for text in texts])

    def _encode(self, items: Iterable[Item]) -> Iterator[Array]:
        mean, deviation = (np.asarray(row, np.float32) for row in (self._preprocessing.mean, self._preprocessing.std))

        def pixels(item: Item) -> Array:
            image = self._preprocessing.pixels(item.open())  # (H, W, 3) uint8
            return np.asarray(((image / np.float32(255) - mean) / deviation).transpose(2, 0, 1), np.float32)

        run = self._run = self._run or self._runner()
        with ThreadPoolExecutor(2) as pool:
            for block in _blocks(items, BATCH):
                yield run(torch.from_numpy(np.stack(list(pool.map(pixels, block)))))

    def _runner(self) -> Callable[[torch.Tensor], Array]:
        trunk, size = self._trunk.eval(), (self._preprocessing.height, self._preprocessing.width)
        if not find_spec("openvino"):
            with torch.inference_mode():
                return lambda batch: np.asarray(trunk(batch).numpy())
        import openvino

        graph: Any = openvino.convert_model(trunk, example_input=torch.zeros(1, 3, *size))
        graph.reshape([-1, 3, *size])
        compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda batch: np.array(compiled(batch.numpy())[0])


class _FeatureCache:
    """Rows by key, in a folder of blocks that are only ever added to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, Array] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as block:
                self._rows.update(zip(block["keys"].tolist(), block["rows"], strict=True))

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def add(self, keys: Sequence[str], rows: Array) -> None:
        path = self._folder / f"{hashlib.sha256(repr(keys).encode()).hexdigest()[:16]}.npz"
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            np.savez(file, keys=np.array(keys), rows=rows)
        unfinished.replace(path)
        self._rows.update(zip(keys, rows, strict=True))

    def rows(self, keys: Sequence[str]) -> Array:
        return np.stack([self._rows[key] for key in keys])


def _blocks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    source = iter(items)
    while block := list(islice(source, size)):
        yield block
