"""Shared fixtures: real photographs, small real models saved to disk, and the command as users run it."""

from __future__ import annotations

import functools
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from clipcli.message_names import naming_options
from tests.fork_server import ForkServer, needs_cold_start

if TYPE_CHECKING:
    from clipcli import Prediction
    from clipcli.pipeline.predictions import Result

Run = Callable[..., "subprocess.CompletedProcess[str]"]
RunTogether = Callable[..., "list[subprocess.CompletedProcess[str]]"]


def pytest_configure() -> None:
    os.environ["PYTHONWARNINGS"] = "ignore::UserWarning"
    if "PYTEST_XDIST_WORKER" in os.environ:  # as many workers as cores: more threads would wait for each other
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a shell's background; our children would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # as nohup leaves it
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # A busy machine is not a failure. CI tries the same examples each time; `make fuzz` tries many others.
    settings.register_profile("suite", deadline=None, max_examples=25, derandomize=True)
    settings.register_profile("thorough", deadline=None, max_examples=1000)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(scope="session", autouse=True)
def option_names() -> Iterator[None]:
    """Let messages name options, as on the command line, whose messages the tests know."""
    with naming_options():
        yield


@pytest.fixture(scope="session")
def photos() -> dict[str, Path]:
    """Real photographs that scikit-image and scikit-learn ship, by what they show."""
    import skimage
    import sklearn

    shipped = Path(skimage.__file__).parent / "data"
    images = Path(sklearn.__file__).parent / "datasets" / "images"
    return {
        "cat": shipped / "chelsea.png",
        "coffee": shipped / "coffee.png",
        "rocket": shipped / "rocket.jpg",
        "astronaut": shipped / "astronaut.png",
        "motorcycle": shipped / "motorcycle_left.png",
        "temple": images / "china.jpg",
        "flower": images / "flower.jpg",
    }


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock ahead, so that files that were written just now count as written some time ago."""
    monkeypatch.setattr("clipcli.cache.stamps.time_ns", lambda: time.time_ns() + 10_000_000_000)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What clipcli logs while the test runs, warnings and what is less."""
    texts: list[str] = []
    handler, logger = logging.Handler(), logging.getLogger("clipcli")
    handler.emit = lambda record: texts.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    yield texts
    logger.removeHandler(handler)


def clean_environment(folder: Path) -> dict[str, str]:
    """Make an environment of one's own: no settings, an empty cache, and a hub that nobody answers for."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLIPCLI_", "HF_"))}
    return kept | {
        "CLIPCLI_CACHE_DIR": str(folder / "cache"),
        "HF_HOME": str(folder / "huggingface"),
        "HF_ENDPOINT": "http://127.0.0.1:9",  # the discard port: refuses at once
        "PYTHONIOENCODING": "utf-8",
        "OMP_NUM_THREADS": "1",  # several processes run side by side, and waiting threads of one keep others waiting
        "COLUMNS": "100",
    }


@functools.cache
def fork_server() -> ForkServer:
    """Return the one server of this test run."""
    return ForkServer(clean_environment(Path(os.devnull)))


def clipcli_command(environment: dict[str, str]) -> list[str]:
    """Return what starts ``clipcli`` in an environment: a process of the fork server where that is the same."""
    served = fork_server()
    if needs_cold_start(environment, served.environment):
        return [sys.executable, "-m", "clipcli"]
    return served.command()


def runner(folder: Path, environment: dict[str, str]) -> Run:
    """Make a function that runs ``clipcli`` in a process of its own, as a user would, in a folder."""

    def run_clipcli(*arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
        variables = environment | extra
        return subprocess.run(
            [*clipcli_command(variables), *map(str, arguments)],
            capture_output=True, text=True, encoding="utf-8", timeout=1200, cwd=folder, env=variables,
        )  # fmt: skip

    return run_clipcli


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A clean environment for one test."""
    return clean_environment(tmp_path)


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run ``clipcli`` for one test, in an empty folder."""
    return runner(tmp_path, environment)


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run ``clipcli`` for several tests of a module, which share one folder and cache."""
    folder = tmp_path_factory.mktemp("shared")
    return runner(folder, clean_environment(folder))


@pytest.fixture(scope="module")
def run_together(tmp_path_factory: pytest.TempPathFactory) -> RunTogether:
    """Run several command lines one after the other, for several tests of a module."""
    folder = tmp_path_factory.mktemp("together")

    def run_all(*lines: Sequence[object], **variables: str) -> list[subprocess.CompletedProcess[str]]:
        run_clipcli = runner(folder, clean_environment(folder))
        return [run_clipcli(*line, **variables) for line in lines]

    return run_all


RunHere = Callable[..., list[subprocess.CompletedProcess[str]]]


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunHere:
    """Run several command lines in this process, which has imported torch and the stores' libraries already."""
    from clipcli.cli import run
    from clipcli.storage import remote

    def run_all(*lines: Sequence[object], **variables: str) -> list[subprocess.CompletedProcess[str]]:
        import s3fs

        for name, value in {**clean_environment(tmp_path), **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        remote._filesystem.cache_clear()
        s3fs.S3FileSystem.clear_instance_cache()
        answers = []
        for line in lines:
            streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2)]
            with monkeypatch.context() as patched:
                patched.setattr(sys, "stdout", streams[0])
                patched.setattr(sys, "stderr", streams[1])
                code = run(list(map(str, line)))
            for stream in streams:
                stream.flush()
            texts = [stream.buffer.getvalue().decode() for stream in streams]  # type: ignore[attr-defined]
            answers.append(subprocess.CompletedProcess(list(map(str, line)), code, *texts))
        return answers

    return run_all


def save_model_folder(folder: Path, config: dict[str, Any], *, seed: int = 0, **preprocess: Any) -> Path:
    """Save a randomly initialised open_clip model as a ``local-dir`` folder."""
    from clipcli.models._torchvision import import_open_clip

    open_clip = import_open_clip()
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    custom_text = config.get("custom_text", False)
    kind = open_clip.CustomTextCLIP if custom_text else open_clip.CLIP
    model = kind(**{key: value for key, value in config.items() if key != "custom_text"})
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    text = json.dumps({"model_cfg": config, "preprocess_cfg": preprocess})
    (folder / "open_clip_config.json").write_text(text, "utf-8")
    return folder


TINY_CLIP: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real CLIP, small enough to load at once: ViT and causal text transformer, random weights."""
    return save_model_folder(tmp_path_factory.mktemp("models") / "tiny-clip", TINY_CLIP)


@pytest.fixture(scope="session")
def tiny_siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SigLIP: timm image tower, bidirectional text tower, logit bias, a tokenizer of its own."""
    folder = tmp_path_factory.mktemp("models") / "tiny-siglip"
    config = {
        "embed_dim": 192,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 224, "timm_model_name": "vit_tiny_patch16_224", "timm_model_pretrained": False,
            "timm_pool": "avg", "timm_proj": "none",
        },
        "text_cfg": {
            "context_length": 16, "vocab_size": 512, "hf_tokenizer_name": "example/tiny-siglip", "width": 64,
            "heads": 2, "layers": 2, "no_causal_mask": True, "proj_bias": True, "pool_type": "last",
            "tokenizer_kwargs": {"clean": "canonicalize"},
        },
    }  # fmt: skip
    save_model_folder(folder, config, mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bicubic", resize_mode="squash")
    save_tokenizer(folder)
    return folder


def save_tokenizer(folder: Path) -> None:
    """Train and save a small sentencepiece-style tokenizer of the kind SigLIP uses."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    texts = [
        "a photo of a cat",
        "a photo of a dog",
        "the temple at dusk",
        "an orange rocket",
        "coffee in a cup",
    ]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>")
    tokenizer.train_from_iterator(texts * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


def lines_of(text: str) -> list[str]:
    """Split output into its lines."""
    return text.splitlines()


def predictions(results: Iterable[Result]) -> list[Prediction]:
    """Return results, each of which must be a prediction."""
    from clipcli import Prediction

    found = list(results)
    predicted = [result for result in found if isinstance(result, Prediction)]
    assert predicted == found
    return predicted
