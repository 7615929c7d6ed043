"""How much of the local engine's speed Ray keeps, how it grows with actors, and what limits it.

``python -m benchmarks.cluster overhead --photos DIR``: one model, the same photographs, in turns.
``python -m benchmarks.cluster scaling``: an encoder that only waits, one actor and eight.
``python -m benchmarks.cluster limits``: what a core decodes, and what a driver writes.
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
from clipcli.distributed.encode_actor import EncoderOptions
from clipcli.distributed.engine import RayEngine
from clipcli.distributed.messages import Rows
from clipcli.images.preprocess import Preprocessing
from clipcli.inputs.items import FileInput
from clipcli.outputs.part_forms import result_parts
from clipcli.outputs.parts import PartedOutput
from clipcli.outputs.run_settings import RunSettings
from clipcli.outputs.text_formats import Layout
from clipcli.pipeline.chunks import LocalEngine, Piece, in_chunks
from clipcli.pipeline.decoding import pixels_of, read_input
from clipcli.pipeline.predictions import Prediction
from clipcli.scoring.zeroshot import Score
from clipcli.storage.folders import folder_at

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
    engine = LocalEngine(lambda items, even: classifier.classify(items, even_batches=even))
    return speed_of(engine.pieces(in_chunks(files, 256)), len(files), began)


def on_ray(model: dict[str, Any], files: list[FileInput]) -> Speed:
    """Measure Ray on this machine, from opening the model and starting Ray on."""
    began = time.monotonic()
    classifier = Classifier(labels=LABELS, cache=False, **model)
    with RayEngine(classifier, RayOptions(), lambda precision: classifier.ranker(precision).results) as engine:
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


class Waiting(RayEngine[str]):
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


# --- what limits a cluster ----------------------------------------------------------------------------------


def decoding(folder: Path, preprocessing: Preprocessing) -> dict[str, float]:
    """Measure photographs a second that one core reads, decodes and resizes, by their longest side."""
    rates = {}
    for longest in (500, 1600, 4000):
        photos = [FileInput(str(path), str(path)) for path in make_photos(folder / str(longest), 16, longest)]
        began, count = time.process_time(), 0
        while time.process_time() - began < 5:
            for item in photos:
                pixels_of(read_input(item), preprocessing)
            count += len(photos)
        rates[f"{longest} px"] = count / (time.process_time() - began)
    return rates


def driver(folder: Path, count: int) -> float:
    """Measure records a second that a driver unpacks and writes as Parquet: five labels each, 4096 a part."""
    scores = tuple(Score(f"label {rank}", 0.5 / rank, 0.3 / rank) for rank in range(1, 6))
    chunks = list(in_chunks((FileInput(f"s3://bucket/{n:012}.jpg", "") for n in range(count)), 4096))
    packed = [
        (
            chunk,
            Rows(0, 0, False, [Prediction(unit.name, "a", scores, "m") for unit in chunk.units[first : first + 32]]),
        )
        for chunk in chunks
        for first in range(0, len(chunk.units), 32)
    ]
    tables = [(chunk, rows.packed()) for chunk, rows in packed]
    (folder / "out").mkdir()
    output = PartedOutput(
        folder_at(f"{folder}/out/"),
        result_parts(Layout("parquet", 5, grouped=False)),
        RunSettings("classify"),
        size=4096,
    )

    def pieces() -> Iterator[Piece[Any]]:
        places: dict[int, int] = {}
        for chunk, table in tables:
            for rows in Rows.unpacked(table):
                first = places.get(chunk.number, 0)
                places[chunk.number] = first + len(rows.rows)
                yield Piece(chunk, first, rows.rows)

    began = time.monotonic()
    written = sum(1 for _ in output.write(pieces()))
    return written / (time.monotonic() - began)


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["overhead", "scaling", "limits"])
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
        if given.what == "limits":
            preprocessing = Classifier(given.model, labels=LABELS).image_encoder.preprocessing
            rates = {"decoded": decoding(Path(folder), preprocessing), "written": driver(Path(folder), 200_000)}
            print(json.dumps(rates))
            return
        photos = sorted(given.photos.iterdir()) if given.photos else make_photos(Path(folder), 250, 500)
        photos = [path for path in photos if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
        print(json.dumps(overhead(photos, {"model": given.model}, given.count, given.rounds)))


if __name__ == "__main__":
    main()
