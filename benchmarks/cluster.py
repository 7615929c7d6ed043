"""How much of the local engine's speed Ray keeps, and how it grows with actors.

python -m benchmarks.cluster overhead --photos DIR      one model, the same photographs, in turns
python -m benchmarks.cluster scaling                    an encoder that only waits, 1 actor and 8
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.material import make_photos
from clipcli import Classifier
from clipcli.distributed.cluster import RayOptions
from clipcli.distributed.encode import EncoderOptions
from clipcli.distributed.engine import OnRay
from clipcli.items import FileInput
from clipcli.preprocess import Preprocessing
from clipcli.work import InTurn, Piece, in_chunks

LABELS = ["cat", "dog", "a cup of coffee"]


@dataclass(frozen=True)
class Speed:
    """Images a second: of the whole run, and once rows arrive."""

    whole: float
    steady: float


def speed_of(pieces: Iterator[Piece[Any]], count: int, began: float) -> Speed:
    """Take all rows. The steady speed leaves out the first tenth, in which processes still start, and the end."""
    done, at, reached, last = 0, 0, 0.0, 0.0
    for piece in pieces:
        done += len(piece.rows)
        last = time.monotonic()
        if not reached and done >= count // 10:
            at, reached = done, last
    assert done == count, f"{done} rows of {count}"
    return Speed(count / (time.monotonic() - began), (count - at) / (last - reached))


def local(model: dict[str, Any], files: list[FileInput]) -> Speed:
    """Measure the engine in this process, from opening the model on."""
    began = time.monotonic()
    classifier = Classifier(labels=LABELS, cache=False, **model)
    engine = InTurn(lambda items, even: classifier.classify(items, even_batches=even))
    return speed_of(engine.pieces(in_chunks(files, 256)), len(files), began)


def on_ray(model: dict[str, Any], files: list[FileInput]) -> Speed:
    """Measure Ray on this machine, from opening the model and starting Ray on."""
    began = time.monotonic()
    classifier = Classifier(labels=LABELS, cache=False, **model)
    with OnRay(classifier, RayOptions(), lambda precision: classifier.ranker(precision).results) as engine:
        return speed_of(engine.pieces(in_chunks(files, 256)), len(files), began)


def overhead(photos: list[Path], model: dict[str, Any], count: int, rounds: int) -> dict[str, Any]:
    """Let both engines do the same, in turns."""
    files = [FileInput(str(number), str(photos[number % len(photos)])) for number in range(count)]
    speeds: dict[str, list[Speed]] = {"local": [], "ray": []}
    for number in range(rounds):
        speeds["local"].append(local(model, files))
        speeds["ray"].append(on_ray(model, files))
        print(f"round {number + 1}: local {speeds['local'][-1]}, ray {speeds['ray'][-1]}", flush=True)
    ratios = {
        kind: statistics.median(
            getattr(ray, kind) / getattr(own, kind) for own, ray in zip(speeds["local"], speeds["ray"], strict=True)
        )
        for kind in ("steady", "whole")
    }
    return {"images": count, "model": model, "ratio": ratios}


# --- an encoder that only waits -----------------------------------------------------------------------------


class WaitingEncoder:
    """Takes the same time for each image, and no processor."""

    preprocessing = Preprocessing.from_config({"size": 32, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)})
    shares_processor = False

    def encode(self, pixels: Any, pad_to: int = 0) -> Any:  # noqa: ARG002
        """Wait."""
        time.sleep(0.02 * len(pixels))
        return np.full((len(pixels), 4), 0.5, np.float32)


class WaitingModel:
    """What an actor needs of an opened model."""

    image_encoder = WaitingEncoder()
    precision, ran_on, batch_size = "fp32", "nowhere", 32

    def __init__(self) -> None:
        self.options = {"device": "cpu"}

    def image_fingerprint(self) -> str:
        """Say that all of them are the same."""
        return "waiting"


class WaitingOptions(EncoderOptions):
    """Opens the model that waits."""

    def open(self, precision: str | None = None) -> Any:  # noqa: ARG002
        """Open it."""
        return WaitingModel()


class Waiting(OnRay[str]):
    """Ray, with actors that wait; it is told that there are processors for all of them."""

    def _opening(self) -> EncoderOptions:
        return WaitingOptions({}, "/")

    def __enter__(self) -> Waiting:
        super().__enter__()
        self._plan = replace(self._plan, processors=0.1, decoders=2, decoder_processors=0.1)
        return self


def names(block: list[tuple[Any, Any]]) -> list[str]:
    """Return a row for each image."""
    return [str(item.name) for item, _ in block]


def scaling(photos: list[Path], actors: int, count: int) -> Speed:
    """Measure so many actors."""
    files = [FileInput(str(number), str(photos[number % len(photos)])) for number in range(count)]
    began = time.monotonic()
    with Waiting(WaitingModel(), RayOptions(actors=(actors, actors)), lambda _: names) as engine:  # type: ignore[arg-type]
        return speed_of(engine.pieces(in_chunks(files, 256)), count, began)


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["overhead", "scaling"])
    parser.add_argument("--photos", type=Path, help="a folder of photographs")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.what == "scaling":
            photos = make_photos(Path(folder), 64, 64)
            one, eight = scaling(photos, 1, 32 * 40), scaling(photos, 8, 32 * 320)
            print(json.dumps({"1": vars(one), "8": vars(eight), "times": eight.steady / one.steady}))
            return
        photos = sorted(given.photos.iterdir()) if given.photos else make_photos(Path(folder), 250, 500)
        photos = [path for path in photos if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
        print(json.dumps(overhead(photos, {"model": given.model}, given.count, given.rounds)))


if __name__ == "__main__":
    main()
