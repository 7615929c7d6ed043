"""The table of engines: what each name of --engine means."""

from __future__ import annotations

from importlib import import_module

import pytest

from clipcli.errors import ModelError
from clipcli.models import engines
from clipcli.models.engines import EngineEntry, check_engine, choose_engine, cluster_names, runs_on_cluster


@pytest.mark.parametrize(
    ("name", "engine", "on_cluster"),
    [
        ("torch", "torch", False), ("openvino", "openvino", False), ("ray", "torch", True),
        ("ray+torch", "torch", True), ("ray+openvino", "openvino", True),
    ],
)  # fmt: skip
def test_a_name_means_an_engine_here_or_on_a_cluster(name: str, engine: str, on_cluster: bool) -> None:
    choice = choose_engine(name)
    assert (choice.name, choice.on_cluster, runs_on_cluster(name)) == (engine, on_cluster, on_cluster)


def test_unknown_names_are_answered_with_those_that_there_are() -> None:
    with pytest.raises(
        ModelError, match=r"^cannot use --engine ray\+x: unknown engine \(use torch, openvino, ray, ray\+openvino\)$"
    ):
        choose_engine("ray+x")
    with pytest.raises(ModelError, match=r"^cannot use --engine jax: unknown engine \(use torch, openvino\)$"):
        check_engine("jax")
    with pytest.raises(ModelError, match=r"^--engine ray is for classify and export images$"):
        check_engine("ray")
    assert cluster_names() == "ray or ray+openvino"


def test_no_two_engines_share_vectors_in_the_cache() -> None:
    precisions = [entry.precision(kind) for entry in engines._ENGINES for kind in ("fp32", "bf16", "fp16")]
    assert len(set(precisions)) == len(precisions)


@pytest.mark.parametrize("entry", engines._ENGINES, ids=lambda entry: entry.name)
def test_every_engine_has_what_a_backend_needs(entry: EngineEntry) -> None:
    backend = import_module(entry.home).Backend
    for name in ("model", "is_loaded", "device", "arithmetic", "image_encoder", "text_encoder"):
        assert hasattr(backend, name)
    assert entry.version
