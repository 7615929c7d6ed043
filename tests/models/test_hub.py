"""The hub as the real client sees it: a loopback server with the hub's headers, and hubs that are not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest

from clipcli import Classifier, Failure
from clipcli.models._torchvision import import_open_clip
from clipcli.models.hub import REACH_SECONDS, weight_candidates
from tests.conftest import Run, lines_of
from tests.loopback_hub import LoopbackHub, serving, silent_hub

LABELS = ["cat", "rocket", "cup of coffee"]
LABEL_OPTIONS = [part for label in LABELS for part in ("-l", label)]

# Runs clipcli where any use of the network but DNS's own files ends the process at once.
NO_SOCKETS = """
import os, sys

def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os.write(2, f"{event} {arguments}".encode())
        os._exit(99)

sys.addaudithook(forbid)
from clipcli.cli import main
main()
"""

# Runs clipcli where looking up a name takes for ever, as it does behind a dead resolver.
SLOW_NAMES = """
import sys, time

sys.addaudithook(lambda event, _: time.sleep(3600) if event == "socket.getaddrinfo" else None)
from clipcli.cli import main
main()
"""


@pytest.fixture
def hub(tmp_path: Path, environment: dict[str, str]) -> Iterator[LoopbackHub]:
    """A hub that serves ``tmp_path/hub``, and an environment in which it is the hub."""
    root = tmp_path / "hub"
    root.mkdir()
    with serving(LoopbackHub(root)) as hub:
        environment |= {"HF_ENDPOINT": hub.url, "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_XET": "1"}
        environment.pop("TRANSFORMERS_OFFLINE", None)
        yield hub


@pytest.fixture
def run_script(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script of one's own around ``clipcli``."""

    def run_with(script: str, *arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            capture_output=True, text=True, encoding="utf-8", timeout=1200, cwd=tmp_path, env=environment | extra,
        )  # fmt: skip

    return run_with


def probabilities_of(output: str) -> list[dict[str, float]]:
    """Read the probabilities by label from jsonl output."""
    return [{score["label"]: score["probability"] for score in json.loads(line)["top"]} for line in lines_of(output)]


def expected_probabilities(model: str, images: list[Path], **settings: Any) -> list[dict[str, float]]:
    classifier = Classifier(model, LABELS, cache=False, device="cpu", **settings)
    results = [result for result in classifier.classify(images) if not isinstance(result, Failure)]
    return [{score.label: score.probability for score in result.top} for result in results]


def assert_one_line_with_ways_out(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2
    assert len(lines_of(done.stderr)) == 1
    assert done.stderr.startswith("error: ")
    assert "--model pocket" in done.stderr
    assert "--pretrained FILE" in done.stderr
    assert done.stdout == ""


# --- what the hub has --------------------------------------------------------------------------------


def test_a_model_from_the_hub_gives_what_its_folder_gives_and_then_needs_no_network(
    hub: LoopbackHub, run: Run, run_script: Run, tiny_clip: Path, photos: dict[str, Path]
) -> None:
    copytree(tiny_clip, hub.root / "org" / "tiny")
    images = [photos["cat"], photos["rocket"]]
    command = ["classify", *images, *LABEL_OPTIONS, "--model", "hf-hub:org/tiny", "--format", "jsonl"]
    online = run(*command)
    assert online.returncode == 0, online.stderr
    found = probabilities_of(online.stdout)
    for row, expected in zip(found, expected_probabilities(f"local-dir:{tiny_clip}", images), strict=True):
        assert row == pytest.approx(expected, abs=1e-6)
    offline = run_script(NO_SOCKETS, *command, "--offline", "--no-cache", HF_ENDPOINT="http://127.0.0.1:9")
    assert offline.returncode == 0, offline.stderr
    assert probabilities_of(offline.stdout) == found


def test_a_tokenizer_from_the_hub_gives_what_its_folder_gives_and_then_needs_no_network(
    hub: LoopbackHub, run: Run, run_script: Run, tiny_siglip: Path, photos: dict[str, Path]
) -> None:
    copytree(tiny_siglip, hub.root / "example" / "tiny-siglip")
    images = [photos["cat"]]
    command = ["classify", *images, *LABEL_OPTIONS, "--model", "hf-hub:example/tiny-siglip", "--format", "jsonl"]
    online = run(*command)
    assert online.returncode == 0, online.stderr
    found = probabilities_of(online.stdout)
    assert found[0] == pytest.approx(expected_probabilities(f"local-dir:{tiny_siglip}", images)[0], abs=1e-6)
    # Not even without --offline: what is on disk is used without asking.
    again = run_script(NO_SOCKETS, *command, "--no-cache")
    assert again.returncode == 0, again.stderr
    assert probabilities_of(again.stdout) == found


def test_a_full_size_tag_comes_from_its_repository_with_the_activation_it_was_trained_with(
    hub: LoopbackHub, run: Run, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    open_clip = import_open_clip()
    import torch
    from huggingface_hub import constants
    from safetensors.torch import save_file

    torch.manual_seed(3)
    network = open_clip.create_model("RN50", force_quick_gelu=True)
    half = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    repository = hub.root / "timm" / "resnet50_clip.openai"
    repository.mkdir(parents=True)
    save_file(half, repository / "open_clip_model.safetensors")
    network.load_state_dict(half)
    network.eval()
    with torch.no_grad():
        expected = open_clip.build_zero_shot_classifier(
            network, open_clip.get_tokenizer("RN50"), LABELS, ["a photo of a {}"]
        )  # (D, C)

    done = run("models", "download", "RN50", "--pretrained", "openai")
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(constants, "HF_HUB_CACHE", f"{environment['HF_HOME']}/hub")
    classifier = Classifier(
        "RN50", LABELS, pretrained="openai", templates=["a photo of a {}"], cache=False, device="cpu", offline=True
    )
    np.testing.assert_allclose(classifier.class_embeddings, expected.T, atol=1e-5)


def test_safetensors_are_taken_before_a_pickle_of_the_same_tag(hub: LoopbackHub, run: Run) -> None:
    repository = hub.root / "laion" / "CLIP-ViT-B-32-laion2B-s34B-b79K"
    repository.mkdir(parents=True)
    (repository / "open_clip_model.safetensors").write_bytes(b"safe")
    (repository / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    done = run("models", "download", "ViT-B-32", "--pretrained", "laion2b_s34b_b79k")
    assert Path(done.stdout.strip()).read_bytes() == b"safe", done.stderr


def test_a_pickle_is_taken_where_a_tag_has_nothing_else(hub: LoopbackHub, run: Run) -> None:
    repository = hub.root / "laion" / "CLIP-ViT-B-32-laion2B-s34B-b79K"
    repository.mkdir(parents=True)
    (repository / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    done = run("models", "download", "ViT-B-32", "--pretrained", "laion2b-s34b-b79k")
    assert Path(done.stdout.strip()).read_bytes() == b"pickle", done.stderr


def test_files_that_a_tokenizer_lacks_are_not_asked_for_again(
    hub: LoopbackHub, run: Run, run_script: Run, tiny_siglip: Path
) -> None:
    repository = copytree(tiny_siglip, hub.root / "example" / "tiny-siglip")
    for optional in ("tokenizer_config.json", "special_tokens_map.json"):
        (repository / optional).unlink(missing_ok=True)
    first = run("models", "download", "hf-hub:example/tiny-siglip")
    assert first.returncode == 0, first.stderr
    again = run_script(NO_SOCKETS, "models", "download", "hf-hub:example/tiny-siglip")
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout


def test_a_tokenizer_that_comes_in_part_is_not_used(
    hub: LoopbackHub, run: Run, tiny_siglip: Path, environment: dict[str, str]
) -> None:
    copytree(tiny_siglip, hub.root / "example" / "tiny-siglip")
    hub.hang_on = "tokenizer_config.json"
    cut = run("models", "download", "hf-hub:example/tiny-siglip")
    assert_one_line_with_ways_out(cut)
    offline = run("classify", "x.png", *LABEL_OPTIONS, "--model", "hf-hub:example/tiny-siglip", "--offline")
    assert_one_line_with_ways_out(offline)


@pytest.mark.parametrize(
    ("location", "repository", "filenames"),
    [
        ("org/name/", "org/name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]),
        ("org/name/weights.bin", "org/name", ["weights.safetensors", "weights.bin"]),
        ("org/name/weights.pt", "org/name", ["weights.pt"]),
    ],
)
def test_a_tag_names_its_repository_and_the_files_to_try(location: str, repository: str, filenames: list[str]) -> None:
    assert weight_candidates(location) == (repository, filenames)


# --- what the hub has not, or does not give ----------------------------------------------------------


def test_a_gated_repository_asks_for_a_login(hub: LoopbackHub, run: Run) -> None:
    hub.gated.add("org/gated")
    done = run("classify", "x.png", *LABEL_OPTIONS, "--model", "hf-hub:org/gated")
    assert done.returncode == 2
    assert len(lines_of(done.stderr)) == 1
    assert "org/gated" in done.stderr
    assert "HF_TOKEN" in done.stderr


def test_a_missing_repository_is_told_by_name(hub: LoopbackHub, run: Run) -> None:
    done = run("classify", "x.png", *LABEL_OPTIONS, "--model", "hf-hub:org/nothing")
    assert (done.returncode, len(lines_of(done.stderr))) == (2, 1)
    assert "no repository org/nothing" in done.stderr


def test_a_repository_without_a_config_is_told(hub: LoopbackHub, run: Run) -> None:
    (hub.root / "org" / "empty").mkdir(parents=True)
    done = run("classify", "x.png", *LABEL_OPTIONS, "--model", "hf-hub:org/empty")
    assert (done.returncode, len(lines_of(done.stderr))) == (2, 1)
    assert "open_clip_config.json" in done.stderr


def test_a_repository_without_weights_is_told(hub: LoopbackHub, run: Run, tiny_clip: Path) -> None:
    repository = copytree(tiny_clip, hub.root / "org" / "bare")
    (repository / "open_clip_model.safetensors").unlink()
    done = run("classify", "x.png", *LABEL_OPTIONS, "--model", "hf-hub:org/bare")
    assert (done.returncode, len(lines_of(done.stderr))) == (2, 1)
    assert "org/bare has none of open_clip_model.safetensors" in done.stderr


@pytest.mark.parametrize("name", ["hf-hub:", "hf-hub:a/b/c", "hf-hub:a b/c", "hf-hub:../c"])
def test_a_name_that_no_repository_can_have_is_refused_in_one_line(run: Run, name: str) -> None:
    done = run("classify", "x.png", *LABEL_OPTIONS, "--model", name)
    assert (done.returncode, len(lines_of(done.stderr))) == (2, 1)
    assert "hf-hub:organisation/name" in done.stderr


# --- hubs that do not answer -------------------------------------------------------------------------
# Where a hub keeps us waiting, it does so for longer than the test may take: that the command ends shows that it gave
# up by itself. It asks once, and REACH_SECONDS is how long it waits.


def test_a_hub_is_waited_for_for_a_few_seconds() -> None:
    assert REACH_SECONDS <= 5


def test_a_hub_that_refuses_is_told_in_one_line(run: Run) -> None:
    done = run("classify", "x.png", *LABEL_OPTIONS, "--model", "ViT-B-32-256")
    assert_one_line_with_ways_out(done)


def test_a_hub_that_never_answers_is_told_in_one_line(run: Run) -> None:
    with silent_hub() as url:
        done = run(
            "classify", "x.png", *LABEL_OPTIONS, "--model", "ViT-B-32-256", HF_ENDPOINT=url, NO_PROXY="127.0.0.1"
        )
    assert_one_line_with_ways_out(done)


def test_a_hub_whose_files_never_come_is_told_in_one_line(hub: LoopbackHub, run: Run) -> None:
    hub.hang_on = "open_clip_model.safetensors"
    done = run("classify", "x.png", *LABEL_OPTIONS, "--model", "ViT-B-32-256")
    assert len(hub.requests) == 1
    assert_one_line_with_ways_out(done)


def test_a_hub_in_trouble_is_told_in_one_line(hub: LoopbackHub, run: Run) -> None:
    hub.status = 503
    done = run("classify", "x.png", *LABEL_OPTIONS, "--model", "ViT-B-32-256")
    assert len(hub.requests) == 1
    assert_one_line_with_ways_out(done)


def test_a_hub_whose_name_is_not_known_is_told_in_one_line(run: Run) -> None:
    done = run("classify", "x.png", *LABEL_OPTIONS, "--model", "ViT-B-32-256", HF_ENDPOINT="http://hub.invalid")
    assert_one_line_with_ways_out(done)


def test_a_hub_whose_name_takes_for_ever_to_look_up_is_told_in_one_line(run_script: Run) -> None:
    done = run_script(SLOW_NAMES, "classify", "x.png", *LABEL_OPTIONS, "--model", "ViT-B-32-256")
    assert_one_line_with_ways_out(done)


def test_offline_asks_nobody_for_a_model_that_is_not_there(run_script: Run) -> None:
    done = run_script(NO_SOCKETS, "classify", "x.png", *LABEL_OPTIONS, "--model", "ViT-B-32-256", "--offline")
    assert_one_line_with_ways_out(done)
    assert "--offline is set" in done.stderr


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_a_hub_client_that_was_told_to_stay_offline_is_named_as_the_reason(run: Run, variable: str) -> None:
    done = run("classify", "x.png", *LABEL_OPTIONS, "--model", "ViT-B-32-256", **{variable: "1"})
    assert_one_line_with_ways_out(done)
    assert "HF_HUB_OFFLINE is set" in done.stderr


def test_an_offline_classifier_leaves_the_rest_of_the_process_online(tiny_siglip: Path) -> None:
    from huggingface_hub import constants

    before = dict(os.environ), constants.HF_HUB_OFFLINE
    Classifier(str(tiny_siglip), LABELS, cache=False, device="cpu", offline=True).class_embeddings.sum()
    assert (dict(os.environ), constants.HF_HUB_OFFLINE) == before
    assert not constants.HF_HUB_OFFLINE


def test_the_guard_of_these_tests_sees_a_socket(run_script: Run) -> None:
    done = run_script(NO_SOCKETS, "classify", "x.png", *LABEL_OPTIONS, "--model", "ViT-B-32-256")
    assert "socket." in done.stderr
    assert done.returncode == 99


# --- downloads that end too soon ---------------------------------------------------------------------


def test_a_download_that_is_cut_off_leaves_nothing_that_is_taken_for_weights(
    hub: LoopbackHub, run: Run, tiny_clip: Path
) -> None:
    copytree(tiny_clip, hub.root / "org" / "tiny")
    hub.hang_up_after = 100_000
    cut = run("models", "download", "hf-hub:org/tiny")
    assert_one_line_with_ways_out(cut)
    offline = run("classify", "x.png", *LABEL_OPTIONS, "--model", "hf-hub:org/tiny", "--offline")
    assert_one_line_with_ways_out(offline)


def test_a_download_that_was_killed_starts_again_and_comes_whole(
    hub: LoopbackHub, run: Run, tiny_clip: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    weights = (copytree(tiny_clip, hub.root / "org" / "tiny") / "open_clip_model.safetensors").read_bytes()
    hub.stall_after = 100_000
    command = [sys.executable, "-m", "clipcli", "models", "download", "hf-hub:org/tiny"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        assert hub.stalled.wait(60)
        process.kill()
    hub.stall_after = None
    done = run("models", "download", "hf-hub:org/tiny")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == weights
