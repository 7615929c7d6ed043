"""The table of engines: what each name of --engine means."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from clipcli import Classifier, Prediction
from clipcli.errors import ModelError
from clipcli.models import engines
from clipcli.models.engines import EngineEntry, check_engine, choose_engine, cluster_names, runs_on_cluster


@pytest.mark.parametrize(
    ("name", "engine", "on_cluster"),
    [
        ("auto", "auto", False), ("torch", "torch", False), ("openvino", "openvino", False), ("ray", "torch", True),
        ("ray+torch", "torch", True), ("ray+openvino", "openvino", True),
    ],
)  # fmt: skip
def test_a_name_means_an_engine_here_or_on_a_cluster(name: str, engine: str, on_cluster: bool) -> None:
    choice = choose_engine(name)
    assert (choice.name, choice.on_cluster, runs_on_cluster(name)) == (engine, on_cluster, on_cluster)


def test_unknown_names_are_answered_with_those_that_there_are() -> None:
    with pytest.raises(
        ModelError,
        match=r"^cannot use --engine ray\+x: unknown engine \(use auto, torch, openvino, ray, ray\+openvino\)$",
    ):
        choose_engine("ray+x")
    with pytest.raises(ModelError, match=r"^cannot use --engine jax: unknown engine \(use auto, torch, openvino\)$"):
        check_engine("jax")
    with pytest.raises(ModelError, match=r"^--engine ray is for classify and export images$"):
        check_engine("ray")
    assert cluster_names() == "ray or ray+openvino"


@pytest.mark.parametrize(
    ("device", "precision", "engine"),
    [
        ("cpu", "auto", "openvino"), ("cpu", "bf16", "openvino"), ("cpu", "fp16", "torch"), ("cuda:0", "auto", "torch"),
        ("mps", "auto", "torch"),
    ],
)  # fmt: skip
def test_auto_is_the_graph_engine_on_a_processor_and_torch_elsewhere(device: str, precision: str, engine: str) -> None:
    pytest.importorskip("openvino")
    assert check_engine("auto", device, precision).name == engine


def test_auto_is_torch_where_there_is_a_gpu_or_no_graph_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(engines, "_has_gpu", lambda _: True)
        assert check_engine("auto").name == "torch"
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    assert check_engine("auto", "cpu").name == "torch"


def test_auto_keeps_torch_where_the_model_cannot_be_converted(
    tiny_clip: Path, tmp_path: Path, photos: dict[str, Path], logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")

    def refuse(*_: object) -> None:
        raise RuntimeError("an operator without counterpart")

    monkeypatch.setattr("clipcli.models.openvino_conversion._graph_of", refuse)
    options: dict[str, Any] = {"device": "cpu", "precision": "fp32", "engine": "auto", "cache": tmp_path}
    logging.getLogger("clipcli").setLevel(logging.INFO)
    for count in (1, 0):  # the second time it is known
        logged.clear()
        classifier = Classifier(str(tiny_clip), ["cat", "dog"], **options)
        (result,) = classifier.classify(photos["cat"])
        assert isinstance(result, Prediction)
        assert (result.precision, len(logged)) == ("fp32", count)
    logging.getLogger("clipcli").setLevel(logging.NOTSET)


def test_auto_uses_the_same_engine_with_a_cache_and_without(
    tiny_clip: Path, tmp_path: Path, photos: dict[str, Path]
) -> None:
    pytest.importorskip("openvino")
    options: dict[str, Any] = {"device": "cpu", "precision": "fp32", "engine": "auto"}
    for cache, precision in ((tmp_path, "openvino-fp32"), (tmp_path, "openvino-fp32"), (False, "openvino-fp32")):
        classifier = Classifier(str(tiny_clip), ["cat", "dog"], **options, cache=cache)
        (result,) = classifier.classify(photos["cat"])
        assert isinstance(result, Prediction)
        assert result.precision == precision


def test_no_two_engines_share_vectors_in_the_cache() -> None:
    precisions = [entry.precision(kind) for entry in engines._ENGINES for kind in ("fp32", "bf16", "fp16")]
    assert len(set(precisions)) == len(precisions)


@pytest.mark.parametrize("entry", engines._ENGINES, ids=lambda entry: entry.name)
def test_every_engine_has_what_a_backend_needs(entry: EngineEntry) -> None:
    backend = import_module(entry.home).Backend
    for name in ("model", "is_loaded", "device", "arithmetic", "scale", "image_encoder", "text_encoder"):
        assert hasattr(backend, name)
    assert entry.version
