"""Training from end to end, as a user types it."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipcli.models.training_images import read_digests
from tests.conftest import Run, clean_environment, clipcli_command, runner
from tests.shapes import make_shapes

COLOURS = {"red": (220, 30, 30), "green": (30, 160, 40), "blue": (30, 60, 210), "yellow": (240, 210, 30)}
VIT = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
RESNET = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 128, "heads": 4, "layers": 2},
}


def write_config(folder: Path, config: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, noisy colours in class folders, and a model trained on them for two epochs."""
    folder = tmp_path_factory.mktemp("train")
    write_config(folder / "vit", VIT)
    chance = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / "colours" / name).mkdir(parents=True)
        for number in range(30):
            pixels = np.clip(np.array(colour) + chance.normal(0, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "colours" / name / f"{number}.png")
    done = command(folder)("train", "colours", "-o", "first", *SCRATCH, "--epochs", "2")
    assert done.returncode == 0, done.stderr
    return folder


SCRATCH = ("--from-scratch", "vit", "--batch-size", "16", "--lr", "1e-3", "--workers", "0")


def command(folder: Path) -> Run:
    return runner(folder, clean_environment(folder))


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the measures of a run, without how fast it was."""
    lines = (folder / "training" / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "pairs_per_second"} for line in lines]


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in rows(folder) if "loss" in row]


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return dict(load_file(folder / "open_clip_model.safetensors"))


def test_the_result_is_a_folder_that_classify_takes(place: Path, run: Run, tmp_path: Path) -> None:
    names = {path.name for path in (place / "first").iterdir()}
    assert names >= {"open_clip_config.json", "open_clip_model.safetensors", "README.md", "vocab.json", "training"}
    image = place / "colours" / "red" / "0.png"
    labels = [part for name in COLOURS for part in ("-l", name)]
    done = run("classify", image, *labels, "--model", f"local-dir:{place / 'first'}", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"] in COLOURS


def test_open_clip_itself_loads_it_and_gives_the_same_embedding(place: Path) -> None:
    from clipcli import Classifier
    from clipcli.models._torchvision import import_open_clip

    open_clip = import_open_clip()
    import torch

    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{place / 'first'}")
    tokens = open_clip.get_tokenizer(f"local-dir:{place / 'first'}")(["a photo of a red", "a photo of a blue"])
    with torch.inference_mode():
        theirs = model.eval().encode_text(tokens, normalize=True).numpy()
    ours = Classifier(f"local-dir:{place / 'first'}", ["red", "blue"], cache=False, precision="fp32")
    np.testing.assert_allclose(ours.class_embeddings, theirs, atol=1e-5)
    assert transform is not None


def test_the_tokenizer_files_are_those_of_clip_for_other_readers(place: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from clipcli.models._torchvision import import_open_clip

    theirs = transformers.CLIPTokenizer.from_pretrained(place / "first")
    ours = import_open_clip().SimpleTokenizer()
    text = "a photo of an Émile's 3 cats, naïve"
    assert theirs(text)["input_ids"][1:-1] == ours.encode(text)


def test_the_run_is_recorded_step_by_step_with_measures_of_each_epoch(place: Path) -> None:
    measured = [row for row in rows(place / "first") if "validation" in row]
    assert [row["epoch"] for row in measured] == [0, 1, 2]
    assert set(measured[-1]["validation"]) == {
        "loss", "image_recall_1", "image_recall_5", "text_recall_1", "text_recall_5", "accuracy",
    }  # fmt: skip
    steps = [row["step"] for row in rows(place / "first") if "loss" in row]
    assert steps == list(range(1, 2 * (108 // 16) + 1))
    with Image.open(place / "first" / "training" / "loss.png") as curve:
        assert curve.format == "PNG"
    card = (place / "first" / "README.md").read_text()
    assert "108 images" in card
    assert "zero-shot accuracy" in card
    assert not (place / "first" / "training" / "checkpoint.pt").exists()


def test_an_evaluation_on_the_training_images_warns(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "colours" / "red", tmp_path / "moved" / "red")  # images are recognised wherever they are
    shutil.copytree(place / "colours" / "blue", tmp_path / "moved" / "blue")
    for file in (tmp_path / "moved").glob("*/1*.png"):
        with Image.open(file) as image:
            image.transpose(Image.Transpose.ROTATE_90).save(file)
    model = ("--model", f"local-dir:{place / 'first'}")
    run = command(tmp_path)
    labels = [part for name in COLOURS for part in ("-l", name)]
    run("classify", place / "colours", *labels, *model, "-o", "r.csv")
    warnings = [
        next((line for line in done.stderr.splitlines() if "was trained with" in line), "")
        for done in (
            run("evaluate", place / "colours", *model),
            run("evaluate", "r.csv", "--truth", place / "colours"),
            run("evaluate", "moved", *model),
            run("evaluate", place / "colours", "--model", "pocket"),
        )
    ]
    assert ["was trained with 108 of these 120 images" in line for line in warnings] == [True, True, False, False]
    assert 20 < int(re.findall(r"with (\d+) of these 60 images", warnings[2])[0]) <= 38
    assert warnings[3] == ""


def test_nothing_is_replaced_without_overwrite_and_then_only_what_a_run_writes(place: Path) -> None:
    shutil.copytree(place / "first", place / "again")
    (place / "again" / "notes.txt").write_text("mine")
    again = ("train", "colours", "-o", "again", *SCRATCH, "--epochs", "1")
    refused = command(place)(*again)
    assert refused.returncode == 2
    assert "it holds a complete run (replace it with --overwrite, or name another folder)" in refused.stderr
    assert weights(place / "again").keys() == weights(place / "first").keys()
    forced = command(place)(*again, "--overwrite")
    assert forced.returncode == 0, forced.stderr
    assert forced.stdout == "local-dir:again\n"
    said = forced.stderr.splitlines()
    assert [
        sum(line.split("  ")[0].strip() == name or f"{name} " in line[:14] for line in said)
        for name in ("start", "epoch 1/1")
    ] == [1, 1]  # the table is printed once
    assert re.fullmatch(r"epoch 1 is saved: accuracy [\d.]+%, before training [\d.]+%, on 12 held-out images", said[-3])
    assert "evaluate with other images" in said[-2]
    assert said[-1] == "next: clipcli classify IMAGES --labels FILE --model local-dir:again"
    assert (place / "again" / "notes.txt").read_text() == "mine"
    assert len(losses(place / "again")) == 6


def test_a_run_that_is_finished_is_said_to_be_and_not_done_again(place: Path) -> None:
    before = (place / "first" / "open_clip_model.safetensors").stat().st_mtime_ns
    done = command(place)("train", "-o", "first", "--resume")
    assert (done.returncode, done.stdout) == (0, "local-dir:first\n"), done.stderr
    assert done.stderr.startswith("warning: first: already complete, nothing to do\n           start  loss ")
    assert done.stderr.endswith("\nnext: clipcli classify IMAGES --labels FILE --model local-dir:first\n")
    assert (place / "first" / "open_clip_model.safetensors").stat().st_mtime_ns == before


def test_the_variable_for_the_model_is_the_default_of_a_new_run_only(place: Path) -> None:
    started = command(place)("train", "colours", "-o", "variable", CLIPCLI_MODEL="nonesuch")
    assert (started.returncode, "no model 'nonesuch'" in started.stderr) == (2, True)
    scratch = command(place)("train", "gone.csv", "-o", "variable", *SCRATCH, CLIPCLI_MODEL="nonesuch")
    assert (scratch.returncode, "gone.csv: no such file" in scratch.stderr) == (2, True)
    resumed = command(place)("train", "-o", "first", "--resume", CLIPCLI_MODEL="nonesuch")
    assert resumed.returncode == 0, resumed.stderr


LONG = ("--epochs", "16", "--patience", "0", "--save-every", "1")  # 96 steps


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*clipcli_command(clean_environment(folder)), "train", *arguments], cwd=folder, env=clean_environment(folder),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_steps(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    log = folder / "training" / "metrics.jsonl"
    while process.poll() is None and not (log.exists() and log.read_text().count("pairs_per_second") >= count):
        time.sleep(0.01)
    assert process.poll() is None, "it was over before it could be stopped"


@pytest.fixture(scope="module")
def uninterrupted(place: Path) -> Path:
    done = command(place)("train", "colours", "-o", "whole", *SCRATCH, *LONG)
    assert done.returncode == 0, done.stderr
    return place / "whole"


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(place: Path, uninterrupted: Path) -> None:
    arguments = ("colours", "-o", "killed", *SCRATCH, *LONG)
    process = start(place, *arguments)
    wait_for_steps(process, place / "killed", random.randint(8, 70))
    process.kill()
    process.communicate()
    assert not (place / "killed" / "open_clip_config.json").exists()
    done = command(place)("train", "-o", "killed", "--resume")
    assert done.returncode == 0, done.stderr
    assert rows(place / "killed") == rows(uninterrupted)
    for name, tensor in weights(uninterrupted).items():
        np.testing.assert_array_equal(weights(place / "killed")[name], tensor)


def test_ctrl_c_keeps_every_step_and_says_how_to_go_on(place: Path, uninterrupted: Path) -> None:
    process = start(place, "colours", "-o", "stopped", *SCRATCH, *LONG)
    wait_for_steps(process, place / "stopped", 20)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "by the same command with --resume" in said
    assert "Traceback" not in said
    done = command(place)("train", "colours", "-o", "stopped", *SCRATCH, *LONG, "--resume")
    assert done.returncode == 0, done.stderr
    assert rows(place / "stopped") == rows(uninterrupted)


def test_a_run_killed_before_its_first_checkpoint_measures_each_epoch_once(place: Path) -> None:
    shutil.copytree(place / "first", place / "early")
    training = place / "early" / "training"
    for name in ("summary.json", "loss.png", "../open_clip_model.safetensors"):
        (training / name).unlink()  # as it is in the first epoch, after the start was measured and some steps done
    log = training / "metrics.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:4]) + '{"step": 5, "ep')
    done = command(place)("train", "-o", "early", "--resume")
    assert done.returncode == 0, done.stderr
    assert rows(place / "early") == rows(place / "first")


def test_a_finished_run_is_not_taken_for_one_with_other_settings_or_pairs(place: Path) -> None:
    for change in (("--lr", "0.5"), ("--epochs", "3"), ("--from-scratch", "tiny"), ("colours/red",)):
        done = command(place)("train", "-o", "first", "--resume", *change)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: cannot resume first: the complete run had ")


def test_an_earlier_model_outlives_a_command_that_cannot_be_carried_out(place: Path) -> None:
    shutil.copytree(place / "first", place / "kept")
    before = weights(place / "kept")
    for mistake in (("colours", "--from-scratch", "nonesuch"), ("gone.csv",), ("colours", "-L", "gone.txt")):
        done = command(place)("train", *mistake, "-o", "kept", "--overwrite")
        assert done.returncode == 2, done.stderr
        assert weights(place / "kept").keys() == before.keys()


def test_going_on_with_other_data_or_settings_is_refused(place: Path) -> None:
    process = start(place, "colours", "-o", "changed", *SCRATCH, *LONG)
    wait_for_steps(process, place / "changed", 5)
    process.kill()
    process.communicate()
    other = command(place)("train", "-o", "changed", "--resume", "--lr", "0.5")
    assert (other.returncode, other.stderr) == (
        2,
        "error: cannot resume changed: the interrupted run had a different learning rate: 0.001, now 0.5 "
        "(use the same settings, or start again with --overwrite)\n",
    )
    (place / "colours" / "red" / "0.png").rename(place / "0.png")
    fewer = command(place)("train", "-o", "changed", "--resume")
    (place / "0.png").rename(place / "colours" / "red" / "0.png")
    assert fewer.returncode == 2
    assert "the interrupted run had a different number of pairs to train on: 108, now 107 (use the same" in fewer.stderr


def test_two_processes_train_what_one_does(place: Path) -> None:
    environment = clean_environment(place) | {  # what torchrun sets
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [*clipcli_command(environment), "train", "colours", "-o", "pair", *SCRATCH, "--epochs", "2", "--device",
             "cpu"],
            cwd=place, env=environment | {"RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE, text=True,
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    errors = [process.communicate(timeout=1200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    np.testing.assert_allclose(losses(place / "pair"), losses(place / "first"), atol=1e-4)
    assert "".join(errors).count("images to train on") == 1


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_parts_of_a_batch_add_up_to_the_whole(place: Path) -> None:
    done = command(place)("train", "colours", "-o", "parts", *SCRATCH, "--epochs", "2", "--accumulate", "4")
    assert done.returncode == 0, done.stderr
    # The trainer adds up the logit scale's gradient over the parts, which bounds the others' a little sooner.
    np.testing.assert_allclose(losses(place / "parts")[:2], losses(place / "first")[:2], atol=1e-5)
    np.testing.assert_allclose(losses(place / "parts"), losses(place / "first"), atol=2e-3)


TUNED = ("--model", "local-dir:first", "--epochs", "1", "--batch-size", "16", "--lr", "1e-3", "--workers", "0")


@pytest.mark.parametrize(("option", "locked", "free"), [("--lock-image", "visual.", "token_embedding"),
                                                        ("--lock-text", "token_embedding", "visual.")])  # fmt: skip
def test_a_locked_encoder_keeps_its_weights(option: str, locked: str, free: str, place: Path) -> None:
    done = command(place)("train", "colours", "-o", f"tuned{option}", *TUNED, option, "--validation", "0")
    assert done.returncode == 0, done.stderr
    before, after = weights(place / "first"), weights(place / f"tuned{option}")
    for name in before:
        if name.startswith(locked):
            np.testing.assert_array_equal(after[name], before[name])
    assert any(not np.array_equal(after[name], before[name]) for name in before if name.startswith(free))


def test_with_both_encoders_locked_nothing_is_left_to_learn(place: Path) -> None:
    done = command(place)("train", "colours", "-o", "nothing", *TUNED, "--lock-image", "--lock-text")
    assert done.returncode == 2
    assert "all weights would be frozen" in done.stderr


def test_interpolation_saves_weights_between_the_start_and_the_trained_ones(place: Path) -> None:
    for name, share in (("whole-way", "1"), ("half-way", "0.5"), ("no-way", "0")):
        done = command(place)("train", "colours", "-o", name, *TUNED, "--validation", "0", "--interpolate", share)
        assert done.returncode == 0, done.stderr
    start_, whole, half = (weights(place / name) for name in ("first", "whole-way", "half-way"))
    for name in start_:
        np.testing.assert_allclose(half[name], (start_[name] + whole[name]) / 2, atol=1e-6)
    seen = {name: read_digests(place / name) for name in ("first", "half-way", "no-way")}
    assert seen["no-way"] == seen["first"] < seen["half-way"]  # weights that did not change saw no more images


def test_bad_pairs_are_reported_with_their_line_and_the_rest_is_trained_on(place: Path, tmp_path: Path) -> None:
    good = [(str(path), f"a {path.parent.name} square") for path in sorted((place / "colours").rglob("*.png"))]
    (tmp_path / "cut.png").write_bytes(Path(good[0][0]).read_bytes()[:400])
    write_config(tmp_path / "vit", VIT)
    bad = [("gone.png", "a cat"), (good[0][0], ""), ("cut.png", "a cat"), (good[1][0], "a very long story " * 9)]
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "caption"), *bad, *good[2:]])
    done = command(tmp_path)("train", "pairs.csv", "-o", "out", *SCRATCH, "--epochs", "1", "--validation", "0")
    assert done.returncode == 1, done.stderr
    assert "error: pairs.csv:2: gone.png: no such file" in done.stderr
    assert f"error: pairs.csv:3: {good[0][0]}: the caption is empty" in done.stderr
    assert "error: pairs.csv:4: cut.png: damaged image" in done.stderr
    assert f"warning: pairs.csv:5: {good[1][0]}: the caption is longer than the model's context" in done.stderr
    left_out = [json.loads(line) for line in (tmp_path / "out/training/left_out.jsonl").read_text().splitlines()]
    assert sorted(row["where"] for row in left_out if not row["used"]) == [f"pairs.csv:{line}" for line in (2, 3, 4)]
    assert "Traceback" not in done.stderr
    again = command(tmp_path)("train", "-o", "out", "--resume")
    assert (again.returncode, again.stdout) == (1, "local-dir:out\n"), again.stderr


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["gone.png,a cat"], "error: p.csv:2: gone.png: no such file\nerror: cannot train on 0 usable pairs"),
        (["0.png,a cat"], "cannot train on 1 usable pairs: at least 8 are needed"),
        ([f"{number}.png,a cat" for number in range(20)], "all pairs have the same caption"),
    ],
)
def test_too_few_pairs_are_a_clear_error(lines: list[str], message: str, tmp_path: Path) -> None:
    write_config(tmp_path / "vit", VIT)
    for number in range(20):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "p.csv").write_text("\n".join(["path,caption", *lines]) + "\n")
    done = command(tmp_path)("train", "p.csv", "-o", "out", *SCRATCH)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()  # so that the next try need not overwrite anything


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["p", "-o", "x", "--from-scratch", "nonesuch"], "nonesuch"),
        (["p", "-o", "x", "--from-scratch", "vit", "--model", "pocket"], "--model only works without --from-scratch"),
        (["p", "-o", "x", "--from-scratch", "vit", "--validation", "1.5"], "a share must be at least 0 and below 1"),
        (
            ["p", "-o", "x", "--precision", "fp16", "--from-scratch", "vit"],
            "cannot train with --precision fp16 on this device",
        ),
        (["p", "-o", "x", "--resume"], "it has no training run (leave out --resume)"),
        (["p"], "no model folder to write (name it with -o DIR)"),
        (["-o", "x", "--from-scratch", "vit"], "cannot train without pairs (name a table"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    write_config(tmp_path / "vit", VIT)
    for number in range(20):
        (tmp_path / "p" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / "p" / str(number % 2) / f"{number}.png")
    done = command(tmp_path)("train", *arguments, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("captions", ["train.csv", "shuffled.csv"])
def test_attributes_that_were_never_seen_together_are_named_if_the_captions_tell_the_truth(
    captions: str, tmp_path: Path
) -> None:
    """From scratch, on a CPU: one colour of each shape is never drawn in training, in any of the nine places."""
    make_shapes(tmp_path / "data", each=14)
    write_config(tmp_path / "resnet", RESNET)
    clipcli = command(tmp_path)
    trained = clipcli("train", f"data/{captions}", "-o", "model", "--from-scratch", "resnet", "--batch-size", "128",
                      "--lr", "3e-3", "--epochs", "8", "--validation", "0.02", "--workers", "0")  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    measured = clipcli("evaluate", "data/unseen.csv", "--labels", "data/labels.txt", "-t", "{label}", "--no-cache",
                       "--model", "local-dir:model", "--json", "measured.json")  # fmt: skip
    assert measured.returncode == 0, measured.stderr
    top1 = next(float(line.split("\t")[2]) for line in measured.stdout.splitlines() if "\ttop1\t" in line)
    assert top1 >= 0.95 if captions == "train.csv" else top1 <= 0.05  # by chance: 1 of 324
