"""The contenders: ways to classify photographs with the same weights. Each runs in a process of its own.

python -m benchmarks.contenders NAME WEIGHTS      reads commands as JSON lines on stdin, answers likewise
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from benchmarks.material import ARCHITECTURE, TEMPLATE
from clipcli import Prediction
from clipcli.models._torchvision import import_open_clip

CORES = os.cpu_count() or 1
Best = tuple[str, "float | None"]  # the best label and its cosine similarity, where that is told


class Contender(ABC):
    """One way to do it."""

    def __init__(self, weights: Path) -> None:
        self.weights = weights
        self.labels: list[str] = []

    @abstractmethod
    def use(self, labels: list[str]) -> None:
        """Get ready for these labels; not timed."""

    @abstractmethod
    def classify(self, paths: list[str]) -> list[Best]:
        """Return the best label for each photograph; timed."""

    def embed_classes(self, labels: list[str]) -> None:
        """Make class embeddings with the ensemble of OpenAI's 80 templates for ImageNet; timed."""
        raise NotImplementedError


class OpenClipLoop(Contender):
    """The loop of open_clip's README: one image after the other, in fp32."""

    def __init__(self, weights: Path) -> None:
        super().__init__(weights)
        self.open_clip = import_open_clip()
        self.network, _, self.transform = self.open_clip.create_model_and_transforms(
            ARCHITECTURE, pretrained=str(weights / "open_clip.safetensors")
        )
        self.network.eval()
        self.tokenizer = self.open_clip.get_tokenizer(ARCHITECTURE)

    def use(self, labels: list[str]) -> None:
        import torch

        self.labels = labels
        kept = self.weights / f"texts-{len(labels)}.pt"  # three contenders need them
        if not kept.exists():
            torch.save(self._text_features(labels), kept)
        self.text_features = torch.load(kept, weights_only=True)

    def _text_features(self, labels: list[str]) -> Any:
        import torch

        with torch.no_grad():
            parts = [labels[start : start + 100] for start in range(0, len(labels), 100)]
            tokens = [self.tokenizer([TEMPLATE.format(name) for name in part]) for part in parts]
            features = torch.cat([self.network.encode_text(part) for part in tokens])
            return features / features.norm(dim=-1, keepdim=True)

    def classify(self, paths: list[str]) -> list[Best]:
        return [self._best(self.transform(Image.open(path)).unsqueeze(0))[0] for path in paths]

    def _best(self, images: Any) -> list[Best]:
        import torch

        with torch.no_grad():
            features = self.network.encode_image(images)
            features /= features.norm(dim=-1, keepdim=True)
            probabilities = (100.0 * features @ self.text_features.T).softmax(dim=-1)
        best = probabilities.argmax(dim=-1)
        similarities = (features * self.text_features[best]).sum(dim=-1)
        return [(self.labels[index], value) for index, value in zip(best.tolist(), similarities.tolist(), strict=True)]

    def embed_classes(self, labels: list[str]) -> None:
        templates = self.open_clip.OPENAI_IMAGENET_TEMPLATES
        self.open_clip.build_zero_shot_classifier(self.network, self.tokenizer, labels, templates)


class _Photographs:
    """A data set for torch's DataLoader."""

    def __init__(self, paths: list[str], transform: Any) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        return self.transform(Image.open(self.paths[index]))


class OpenClipDataLoader(OpenClipLoop):
    """open_clip with batches of 32 from a DataLoader with a worker process for each core, in fp32."""

    def classify(self, paths: list[str]) -> list[Best]:
        from torch.utils.data import DataLoader

        photographs: Any = _Photographs(paths, self.transform)
        loader: Iterable[Any] = DataLoader(photographs, batch_size=32, num_workers=CORES)
        return [best for images in loader for best in self._best(images)]


class OnnxRuntime(OpenClipLoop):
    """The image encoder exported to ONNX and run by ONNX Runtime in fp32; a decoding thread for each core."""

    def __init__(self, weights: Path) -> None:
        super().__init__(weights)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = CORES
        self.session = onnxruntime.InferenceSession(str(weights / "encoder.onnx"), options)

    def classify(self, paths: list[str]) -> list[Best]:
        found: list[Best] = []
        texts = self.text_features.numpy()
        with ThreadPoolExecutor(CORES) as pool:
            for start in range(0, len(paths), 32):
                part = paths[start : start + 32]
                images = list(pool.map(lambda path: self.transform(Image.open(path)).numpy(), part))
                features = self.session.run(None, {"pixels": np.stack(images)})[0]
                similarities = features @ texts.T / np.linalg.norm(features, axis=1, keepdims=True)
                found += [(self.labels[row.argmax()], float(row.max())) for row in similarities]
        return found


class TransformersPipeline(Contender):
    """The zero-shot-image-classification pipeline of transformers as its documentation shows it, in fp32."""

    batch_size = 1

    def __init__(self, weights: Path) -> None:
        super().__init__(weights)
        import_open_clip()  # lets torchvision in
        from transformers import pipeline

        self.pipe = pipeline("zero-shot-image-classification", model=str(weights / "transformers"), device="cpu")

    def use(self, labels: list[str]) -> None:
        self.labels = labels

    def classify(self, paths: list[str]) -> list[Best]:
        results = self.pipe(
            paths, candidate_labels=self.labels, hypothesis_template=TEMPLATE, batch_size=self.batch_size
        )
        return [(ranking[0]["label"], None) for ranking in results]


class TransformersBatches(TransformersPipeline):
    """The same pipeline with batches of 8: it encodes the labels again for each batch rather than each image."""

    batch_size = 8


class Clipcli(Contender):
    """clipcli's Python API, as the command uses it, without a cache."""

    options: ClassVar[dict[str, Any]] = {}

    def use(self, labels: list[str]) -> None:
        from clipcli import Classifier

        self.labels = labels
        checkpoint = str(self.weights / "open_clip.safetensors")
        classifier = Classifier(
            ARCHITECTURE, labels, pretrained=checkpoint, templates=[TEMPLATE], cache=False, top_k=1, **self.options
        )
        assert classifier.classes
        assert classifier.image_encoder
        self.classifier = classifier

    def classify(self, paths: list[str]) -> list[Best]:
        results = list(self.classifier.classify(paths, even_batches=True))
        return [(result.label, result.similarity) for result in results if isinstance(result, Prediction)]

    def embed_classes(self, labels: list[str]) -> None:
        from clipcli.labels.files import Label, prompts_for
        from clipcli.labels.templates import resolve_templates
        from clipcli.scoring.ensemble import ensemble

        templates = resolve_templates([fill("{}") for fill in import_open_clip().OPENAI_IMAGENET_TEMPLATES], [])
        prompts = [prompts_for(Label(name), templates) for name in labels]
        rows = self.classifier.model.text_encoder.encode([prompt for each in prompts for prompt in each])
        ensemble(rows, [len(each) for each in prompts])

    def limit(self, paths: list[str]) -> dict[str, float]:
        """Return the seconds an image that nothing can save: the forward pass, and decoding on one core."""
        from clipcli.images.files import open_image

        encoder, size = self.classifier.image_encoder, self.classifier.batch_size
        preprocessing = encoder.preprocessing
        started = time.perf_counter()
        pixels = [
            preprocessing.pixels(open_image(Path(path).read_bytes(), preprocessing.resized))
            for path in paths[: 2 * size]
        ]
        decoding = (time.perf_counter() - started) / len(pixels)
        batch = (pixels * size)[:size]
        forward = _forward(encoder, batch)
        return {"decode": decoding, "forward": forward}


def _forward(encoder: Any, batch: list[Any]) -> float:
    """Return the seconds an image of the bare network on a tensor that is ready; median of five."""
    import torch

    seconds = []
    if not hasattr(encoder, "network"):
        ready = np.stack(batch)
        step = lambda: encoder._compiled([ready])
    else:
        tensor = encoder._normalised(torch.from_numpy(np.stack(batch)))
        step = lambda: encoder.network.encode_image(tensor)
    with torch.inference_mode():
        for _ in range(6):
            started = time.perf_counter()
            step()
            seconds.append((time.perf_counter() - started) / len(batch))
    return sorted(seconds[1:])[2]


class ClipcliTorch(Clipcli):
    """clipcli with torch in the precision that it takes by itself: bf16 where the processor has it."""

    options: ClassVar[dict[str, Any]] = {"engine": "torch"}


class ClipcliTorchFp32(Clipcli):
    """clipcli with torch in fp32."""

    options: ClassVar[dict[str, Any]] = {"engine": "torch", "precision": "fp32"}


class ClipcliFp32(Clipcli):
    """clipcli with the engine that it takes by itself, in fp32 as ONNX Runtime."""

    options: ClassVar[dict[str, Any]] = {"precision": "fp32"}


CONTENDERS: dict[str, type[Contender]] = {
    "transformers pipeline": TransformersPipeline,
    "transformers pipeline, by 8": TransformersBatches,
    "open_clip loop": OpenClipLoop,
    "open_clip DataLoader": OpenClipDataLoader,
    "ONNX Runtime": OnnxRuntime,
    "clipcli torch fp32": ClipcliTorchFp32,
    "clipcli torch": ClipcliTorch,
    "clipcli fp32": ClipcliFp32,
    "clipcli": Clipcli,
}


def main() -> None:
    """Answer commands until stdin ends."""
    contender = CONTENDERS[sys.argv[1]](Path(sys.argv[2]))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        started = time.perf_counter()
        answer = getattr(contender, command)(*arguments)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        precision = getattr(getattr(contender, "classifier", None), "precision", "fp32")
        print(json.dumps([answer, seconds, peak, precision]), file=answers, flush=True)


if __name__ == "__main__":
    main()
