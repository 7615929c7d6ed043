"""Sound files of every kind that clipcli reads, made by clipcli itself where it writes them."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from PIL import Image
from tools.fuzz.child import Child
from tools.fuzz.limits import environment
from tools.fuzz.pictures import photographs

__all__ = ["ANSWER", "make_template"]

LABELS = ("cat", "coffee", "rocket", "astronaut")
ANSWER = "-m pocket -l cat -l coffee"
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
_NORMAL = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
_COMMANDS = (
    *(f"classify photos {ANSWER} -o results.{form}" for form in ("csv", "tsv", "json", "jsonl", "parquet")),
    f"classify photos {ANSWER} -o parts/ --part-size 2 --format jsonl",
    *(f"export text {ANSWER} -o classes.{form}" for form in ("npy", "npz", "safetensors", "parquet", "csv", "jsonl")),
    "evaluate many.csv -m pocket -L labels.txt --save-calibration calibration.json --save-classes calibrated.json -q",
    *(f"teach truth.csv -m pocket --method logistic -o taught.{form}" for form in ("safetensors", "json")),
    *(
        f"export images photos -m pocket -o images.{form}"
        for form in ("npy", "npz", "safetensors", "parquet", "csv", "jsonl")
    ),
    "train pairs.csv -o trained --from-scratch model --epochs 1 --batch-size 2 --workers 0 -q",
)


def make_template(folder: Path) -> None:
    """Fill a folder with sound files.

    Raises
    ------
    RuntimeError
        If a command that makes some of them fails.
    """
    folder.mkdir(parents=True)
    _photos(folder / "photos")
    _texts(folder)
    _models(folder)
    child = Child(folder.parent / "template.log")
    for command in _COMMANDS:
        answer = child.run(folder, command.split())
        if answer.code != 0:
            raise RuntimeError(f"cannot prepare {command!r}: {answer.problem or answer.errors}")
    child.close()
    (folder / "partial").mkdir()
    _interrupted_results(folder)
    _interrupted_training(folder)


def _photos(folder: Path) -> None:
    folder.mkdir()
    for label, path in photographs().items():
        with Image.open(path) as image:
            image.convert("RGB").resize((128, 96)).save(folder / f"{label}.jpg")
    (folder.parent / "pairs").mkdir()
    for place in range(16):
        with Image.open(photographs()[LABELS[place % len(LABELS)]]) as image:
            corner = 40 + 7 * place
            image.convert("RGB").crop((corner, corner, corner + 90, corner + 90)).save(_pair(folder.parent, place))
    for name, kind in ((".clipcliignore", "*_thumb.jpg\ndrafts/\n!drafts/final/\n\\#x\n[a-c]?.png\n"),):
        (folder / name).write_text(kind, "utf-8")
    with tarfile.open(folder.parent / "shard.tar", "w") as archive:
        for path in sorted(folder.glob("*.jpg")):
            archive.add(path, path.name)
    classes = folder.parent / "captioned"
    classes.mkdir()
    for place, label in enumerate(LABELS * 3):
        pair = _pair(folder.parent, place)
        shutil.copy(pair, classes)
        (classes / f"{pair.stem}.txt").write_text(f"a photo of a {label}, number {place}\n", "utf-8")


def _pair(folder: Path, place: int) -> Path:
    return folder / "pairs" / f"{place:02}.jpg"


def _texts(folder: Path) -> None:
    rows = [(f"photos/{label}.jpg", label) for label in LABELS]
    many = [*rows, *((f"pairs/{place:02}.jpg", label) for place, label in enumerate(LABELS * 4))]
    captions = [(f"pairs/{place:02}.jpg", f"a {label} {place}") for place, label in enumerate(LABELS * 4)]
    tables = {
        "labels.txt": "# what they show\n" + "".join(f"{label}\n" for label in LABELS),
        "labels.csv": 'label,prompt,group\ncat,a {label},animal\ncat,a kitten,animal\nrocket,"a rocket, up",thing\n',
        "labels.tsv": "label\tprompt\ncat\ta cat\nrocket\ta rocket\n",
        "labels.json": json.dumps({"cat": ["a cat", "a {label} asleep"], "rocket": "a rocket", "coffee": ["a cup"]}),
        "list.json": json.dumps(LABELS),
        "prompts.txt": "# of photographs\na photo of a {label}\na drawing of a {label}\n",
        "paths.csv": "path,note\n" + "".join(f"{path},{label}\n" for path, label in rows),
        "paths.tsv": "path\tnote\n" + "".join(f"{path}\t{label}\n" for path, label in rows),
        "paths.jsonl": "".join(json.dumps({"path": path, "note": label}) + "\n" for path, label in rows),
        "paths.txt": "".join(f"{path}\n" for path, _ in rows),
        "paths.nul": "".join(f"{path}\0" for path, _ in rows),
        "truth.csv": "path,label\n" + "".join(f"{path},{label}\n" for path, label in rows),
        "many.csv": "path,label\n" + "".join(f"{path},{label}\n" for path, label in many),
        "truth.tsv": "path\tlabel\n" + "".join(f"{path}\t{label}\n" for path, label in rows),
        "pairs.csv": "path,caption\n" + "".join(f"{path},{caption}\n" for path, caption in captions),
        "pairs.jsonl": "".join(json.dumps({"path": path, "caption": text}) + "\n" for path, text in captions),
    }  # fmt: skip
    for name, text in tables.items():
        (folder / name).write_text(text, "utf-8", newline="")


def _models(folder: Path) -> None:
    """Save a tiny model with random weights: as safetensors, as PyTorch's zip, and with a tokenizer of its own."""
    from clipcli.models._torchvision import import_open_clip

    open_clip = import_open_clip()
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    weights = {name: tensor.contiguous() for name, tensor in open_clip.CLIP(**TINY).state_dict().items()}
    config = {"model_cfg": TINY, "preprocess_cfg": _NORMAL}
    named = {**TINY, "text_cfg": {**TINY["text_cfg"], "hf_tokenizer_name": "example/tiny"}}  # type: ignore[dict-item]
    for name, written in (("model", config), ("pickled", config), ("tokenized", {**config, "model_cfg": named})):
        (folder / name).mkdir()
        (folder / name / "open_clip_config.json").write_text(json.dumps(written, indent=1), "utf-8")
        if name == "pickled":
            torch.save(weights, folder / name / "open_clip_pytorch_model.bin")
        else:
            save_file(weights, folder / name / "open_clip_model.safetensors")
    _tokenizer(folder / "tokenized")


def _tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: place for place, word in enumerate(("<pad>", "</s>", "<unk>", "a", "photo", "of", *LABELS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    signs = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **signs).save_pretrained(folder)


def _interrupted_results(folder: Path) -> None:
    """Let a run fail half-way, as on a full disk: its file may not grow beyond two records or so."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (800, resource.RLIM_INFINITY))

    command = [*f"classify photos {ANSWER} --no-cache --batch-size 1 --top-k 2 -o partial/results.jsonl".split()]
    done = subprocess.run(
        [sys.executable, "-m", "clipcli", *command], cwd=folder, env=environment(folder), preexec_fn=limit,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not (folder / "partial" / "results.jsonl.partial").is_file():
        raise RuntimeError(f"cannot prepare partial results: {done.stderr}")


def _interrupted_training(folder: Path) -> None:
    """Stop a training after its first steps."""
    command = "train pairs.csv -o stopped --from-scratch model --epochs 12 --patience 0 --batch-size 2 --workers 0 -q"
    process = subprocess.Popen([sys.executable, "-m", "clipcli", *command.split()], cwd=folder, env=environment(folder))
    metrics = folder / "stopped" / "training" / "metrics.jsonl"
    while process.poll() is None and not (metrics.is_file() and metrics.read_bytes().count(b"\n") > 1):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait()
    if not (folder / "stopped" / "training" / "checkpoint.pt").is_file():
        raise RuntimeError("cannot prepare a training that was stopped")
