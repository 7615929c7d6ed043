"""The files of a run may come from others: tensors and plain values alone are read, of the shapes they must have."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from clipcli.errors import CheckpointError, InputError, OutputError
from clipcli.training.best_epoch import Progress
from clipcli.training.metrics_log import MetricsFile
from clipcli.training.restore import restore
from clipcli.training.run_folder import TrainingFolder
from tests.models.test_hostile_models import rewritten, scripted_trap
from tests.models.test_weight_kinds import Trap

SETTINGS: dict[str, Any] = {
    "version": 1,
    "request": {"pairs": ["p.csv"], "model": "pocket", "pretrained": None, "from_scratch": None, "validation": "0.1",
                "labels": None, "templates": None, "prompts": None, "exclude": ["*_thumb.jpg"],
                "include_hidden": False},
    "settings": {"epochs": 3, "batch_size": 8, "accumulate": 1, "learning_rate": 1e-4, "weight_decay": 0.1,
                 "warmup": 2, "precision": "fp32", "seed": 0, "patience": 5, "interpolate": 1.0, "lock_image": False,
                 "lock_text": False, "unlocked_layers": 0},
    "pairs_digest": "0", "start": "0", "train": 9, "validation": 1, "templates": [], "model": "pocket",
}  # fmt: skip
MEASURES = {"loss": 1.0, "image_recall_1": 0.5, "image_recall_5": 1.0, "text_recall_1": 0.5, "text_recall_5": 1.0}


@pytest.fixture
def folder(tmp_path: Path) -> TrainingFolder:
    (tmp_path / "run" / "training").mkdir(parents=True)
    return TrainingFolder(tmp_path / "run")


def network_with_state() -> tuple[Any, Any]:
    """A network and its optimiser after one step."""
    import torch

    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return network, optimizer


def states_of(network: Any, optimizer: Any) -> dict[str, Any]:
    return {"network": network.state_dict(), "optimizer": optimizer.state_dict()}


# --- the checkpoint ----------------------------------------------------------------------------------


def test_a_checkpoint_comes_back_as_it_was_saved(folder: TrainingFolder) -> None:
    import torch

    network, optimizer = network_with_state()
    progress = Progress(1, 4, 1, (0.5, -1.0), 1.0, 0)
    folder.save_checkpoint(progress, states_of(network, optimizer))
    loaded = folder.load_checkpoint()
    assert loaded is not None
    assert loaded[0] == progress
    other = torch.nn.Linear(3, 2)
    again = torch.optim.AdamW(other.parameters(), lr=0.2)
    restore(other, again, None, loaded[1], folder.file("checkpoint.pt"))
    for trained, optimised in ((network, optimizer), (other, again)):
        optimised.zero_grad()
        trained(torch.ones(1, 3)).sum().backward()
        optimised.param_groups[0]["lr"] = 0.1
        optimised.step()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def test_a_checkpoint_can_be_replaced_while_its_tensors_are_in_use(folder: TrainingFolder) -> None:
    import torch

    network, optimizer = network_with_state()
    folder.save_checkpoint(Progress(), states_of(network, optimizer))
    loaded = folder.load_checkpoint()
    assert loaded is not None
    with folder.file("checkpoint.pt").open("r+b") as file:
        file.write(b"\0" * folder.file("checkpoint.pt").stat().st_size)
    assert torch.equal(loaded[1]["network"]["weight"], network.weight)


@pytest.mark.parametrize("form", ["pickle", "torchscript", "compressed"])
def test_a_checkpoint_that_would_run_code_or_fill_memory_is_refused(
    form: str, folder: TrainingFolder, tmp_path: Path
) -> None:
    import torch

    path, created = folder.file("checkpoint.pt"), tmp_path / "created"
    if form == "pickle":
        torch.save({"progress": Progress().as_plain, "network": {}, "optimizer": {"state": Trap(created)}}, path)
    elif form == "torchscript":
        scripted_trap(created, path)
    else:
        torch.save({"network": {"a": torch.zeros(5_000_000)}, "optimizer": {}}, path)
        rewritten(path, lambda _, data: data, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r"cannot resume from .*checkpoint\.pt: .*(would run code|compressed)"):
        folder.load_checkpoint()
    assert not created.exists()


@pytest.mark.parametrize(
    "progress",
    [None, {}, [1], {**Progress().as_plain, "epoch": -1}, {**Progress().as_plain, "step": 1.5},
     {**Progress().as_plain, "best": "x"}, {**Progress().as_plain, "evil": 1},
     {**Progress().as_plain, "epoch": 1 << 60}],
)  # fmt: skip
def test_a_progress_that_cannot_be_is_refused(progress: object, folder: TrainingFolder) -> None:
    import torch

    torch.save({"progress": progress, "network": {}, "optimizer": {}}, folder.file("checkpoint.pt"))
    with pytest.raises(InputError, match=r"cannot resume from .*checkpoint\.pt"):
        folder.load_checkpoint()


def spoiled(states: dict[str, Any], how: str) -> dict[str, Any]:
    import torch

    network: Any = dict(states["network"])
    kept: Any = dict(states["optimizer"]["state"])
    if how == "missing":
        del network["bias"]
    elif how == "more":
        network["evil"] = torch.zeros(1)
    elif how == "shape":
        network["bias"] = torch.zeros(3)
    elif how == "type":
        network["bias"] = network["bias"].half()
    elif how == "no tensor":
        network["bias"] = [0.0, 0.0]
    elif how == "another parameter":
        kept[7] = kept[0]
    elif how == "state of another shape":
        kept[0] = {**kept[0], "exp_avg": torch.zeros(1)}
    elif how == "state of another kind":
        kept[0] = {"momentum_buffer": torch.zeros(2, 3)}
    else:
        kept = [1]
    return {"network": network, "optimizer": {"state": kept, "param_groups": []}}


@pytest.mark.parametrize(
    "how", ["missing", "more", "shape", "type", "no tensor", "another parameter", "state of another shape",
            "state of another kind", "no state"],
)  # fmt: skip
def test_a_state_of_another_network_is_refused_and_changes_nothing(how: str) -> None:
    import torch

    network, optimizer = network_with_state()
    states = spoiled(states_of(*network_with_state()), how)
    before = [parameter.clone() for parameter in network.parameters()]
    with pytest.raises(InputError, match=r"cannot resume from checkpoint\.pt: .*--overwrite"):
        restore(network, optimizer, None, states, Path("checkpoint.pt"))
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_rates_are_not_taken_from_a_checkpoint() -> None:
    network, optimizer = network_with_state()
    states = states_of(*network_with_state())
    states["optimizer"]["param_groups"][0] |= {"lr": 1e9, "maximize": True}
    restore(network, optimizer, None, states, Path("checkpoint.pt"))
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert not optimizer.param_groups[0]["maximize"]


# --- the best weights --------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_best_weights_that_are_damaged_or_of_another_network_are_refused(
    content: bytes | None, folder: TrainingFolder
) -> None:
    import torch

    network, _ = network_with_state()
    if content is None:
        folder.save_best({"weight": torch.zeros(5)})
    else:
        folder.file("best.safetensors").write_bytes(content)
    with pytest.raises((InputError, CheckpointError), match=r"best\.safetensors"):
        folder.load_best(network)


# --- JSON --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("request", None), ("request.pairs", "p.csv"), ("request.model", 3), ("request.evil", "x"),
        ("settings", [1]), ("settings.epochs", 0), ("settings.accumulate", 0), ("settings.batch_size", "8"),
        ("version", None), ("version", "1"), ("settings.precision", "int8"),
        ("settings.learning_rate", float("nan")), ("settings.interpolate", 2), ("settings.lock_image", 1),
        ("settings.evil", 1), ("pairs_digest", 0), ("start", None), ("train", -1), ("validation", "1"),
    ],
)  # fmt: skip
def test_settings_that_clipcli_does_not_write_are_refused(path: str, value: object, folder: TrainingFolder) -> None:
    record = json.loads(json.dumps(SETTINGS))
    folder.file("settings.json").write_text(json.dumps(record))
    assert folder.read_json("settings.json") == record
    *sections, name = path.split(".")
    section = record
    for each in sections:
        section = section[each]
    section[name] = value
    folder.file("settings.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"cannot resume from .*settings\.json"):
        folder.read_json("settings.json")


def test_settings_of_another_version_are_refused_clearly(folder: TrainingFolder) -> None:
    folder.file("settings.json").write_text(json.dumps(SETTINGS | {"version": 2}))
    with pytest.raises(OutputError, match=r"settings\.json: it has version 2, but this clipcli reads version 1"):
        folder.read_json("settings.json")


@pytest.mark.parametrize("name", ["settings.json", "summary.json"])
@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{}", "[" * 100_000, '{"measures": [["a", {"loss": "x"}]]}'])
def test_json_of_another_shape_is_refused_in_one_line(name: str, text: str, folder: TrainingFolder) -> None:
    folder.file(name).write_text(text)
    with pytest.raises(InputError, match=name) as refused:
        folder.read_json(name)
    assert len(str(refused.value).splitlines()) == 1


def test_metrics_are_read_up_to_a_torn_line(folder: TrainingFolder) -> None:
    rows = [{"step": 1, "epoch": 1, "loss": float("nan")}, {"step": 1, "epoch": 1, "validation": MEASURES}]
    path = folder.file("metrics.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 2, "epo')
    assert json.dumps(list(MetricsFile(path).rows())) == json.dumps(rows)


@pytest.mark.parametrize(
    "row",
    [3, [], {}, {"step": "1", "epoch": 1}, {"step": 1, "epoch": None}, {"step": 1, "epoch": 1, "loss": "x"},
     {"step": 1, "epoch": 1, "validation": {"loss": 1}}, {"step": 1, "epoch": 1, "validation": [1]}],
)  # fmt: skip
def test_measures_that_clipcli_does_not_write_are_refused(row: object, folder: TrainingFolder) -> None:
    path = folder.file("metrics.jsonl")
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=r"cannot resume from .*metrics\.jsonl"):
        MetricsFile(path).cut(1, 1)


@pytest.mark.parametrize("row", ["3", "{}", '{"where": 1, "name": "", "reason": ""}', "[" * 100_000])
def test_left_out_pairs_that_clipcli_does_not_write_are_refused(row: str, folder: TrainingFolder) -> None:
    folder.file("left_out.jsonl").write_text(row + "\n")
    with pytest.raises(InputError, match=r"left_out\.jsonl"):
        folder.read_left_out()
