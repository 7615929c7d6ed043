"""The folder of a run: its settings, its measures, and the checkpoint from which it can be resumed.

::

    DIR/                                the model, when the run is complete
    DIR/training/settings.json          settings of the run
    DIR/training/metrics.jsonl          one line per step, one per epoch
    DIR/training/left_out.jsonl         pairs that cannot be used, or are truncated
    DIR/training/images.txt             digests of the training images
    DIR/training/loss.png               the training curve
    DIR/training/checkpoint.pt          the state of an incomplete run
    DIR/training/best.safetensors       the best weights of an incomplete run
    DIR/training/summary.json           the outcome of a complete run
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clipcli.errors import InputError, OutputError
from clipcli.models.state_dicts import read_state_dict
from clipcli.models.training_images import TRAINING_IMAGES, digest_of_file, read_digests, text_of_digests
from clipcli.storage.atomic import already_exists, replacing
from clipcli.storage.locks import locked
from clipcli.training.best_epoch import Progress
from clipcli.training.pairs import Example, LeftOut
from clipcli.training.records import check_left_out, check_progress, check_settings, check_summary
from clipcli.training.restore import check_weights, read_states

__all__ = ["REMEDY", "TrainingFolder"]

REMEDY = "use the same settings, or start again with --overwrite"
"""What to do where a run cannot be resumed as it was asked for."""

_MODEL_FILES = ("open_clip_config.json", "open_clip_model.safetensors", "README.md")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt")
_RUN_FILES = (
    "settings.json", "metrics.jsonl", "left_out.jsonl", "loss.png", "checkpoint.pt", "best.safetensors",
    "summary.json", TRAINING_IMAGES.name,
)  # fmt: skip


class TrainingFolder:
    """The folder of a run, used by one process at a time."""

    def __init__(self, root: Path) -> None:
        self.root, self.inner = root, root / "training"

    def file(self, name: str) -> Path:
        """Return the path of a file of the run."""
        return self.inner / name

    @contextmanager
    def claimed(self, *, resume: bool, overwrite: bool) -> Iterator[None]:
        """Have the folder for this process while the block runs; where nothing was written, no trace of it stays.

        Raises
        ------
        OutputError
            If it is a file or in use, if it is not empty and neither ``resume`` nor ``overwrite`` is set, or if it
            holds anything but a training run.
        InputError
            If there is no run to resume.
        """
        self._check(resume=resume, overwrite=overwrite)
        is_new = not self.root.exists()
        try:
            self.inner.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise OutputError(f"cannot write {self.root}: {problem.strerror or problem}") from None
        try:
            with locked(self.root):
                try:
                    yield
                finally:
                    with suppress(OSError):  # not empty
                        self.inner.rmdir()
        finally:
            if is_new:
                with suppress(OSError):
                    self.root.rmdir()

    def _check(self, *, resume: bool, overwrite: bool) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise OutputError(f"cannot write {self.root}: it is a file (name a folder)")
        if resume and not self.file("settings.json").is_file():
            raise InputError(f"cannot resume {self.root}: it has no training run (leave out --resume)")
        if resume or not self.root.is_dir() or not any(self.root.iterdir()):
            return
        if not self.inner.is_dir():
            raise OutputError(f"cannot write {self.root}: it is not empty and has no training run (name a new folder)")
        if overwrite:
            return
        if self.file("summary.json").is_file():
            raise already_exists(self.root, "folder", "it holds a complete run")
        raise OutputError(
            f"cannot write {self.root}: it holds an interrupted run "
            "(continue with --resume, or start again with --overwrite)"
        )

    def clear(self) -> None:
        """Remove the files of a run, and nothing else."""
        for path in (
            *(self.root / name for name in (*_MODEL_FILES, *_TOKENIZER_FILES)),
            *map(self.file, _RUN_FILES),
        ):
            path.unlink(missing_ok=True)

    def write_json(self, name: str, value: Any) -> None:
        """Write a file of the run, atomically."""
        with replacing(self.file(name)) as temporary:
            temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a file of the run.

        Raises
        ------
        InputError
            If it is missing or damaged.
        """
        try:
            value = json.loads(self.file(name).read_bytes())
        except (OSError, ValueError, RecursionError) as problem:
            raise InputError(f"cannot read {self.file(name)}: {problem}") from None
        return {"settings.json": check_settings, "summary.json": check_summary}[name](value, self.file(name))

    def outcome(self) -> tuple[list[tuple[str, dict[str, float]]], int, int, int] | None:
        """Return the outcome of a complete run; ``None`` for any other."""
        if not self.file("summary.json").is_file():
            return None
        summary = self.read_json("summary.json")
        measures = [(name, values) for name, values in summary["measures"]]
        held_out = int(self.read_json("settings.json")["validation"])
        return measures, int(summary.get("left_out", 0)), int(summary["best_epoch"]), held_out

    def write_images(self, start: Path, examples: Sequence[Example] = ()) -> None:
        """Record the images to train with, so that an evaluation can warn of them.

        Parameters
        ----------
        start
            The folder of the model to start from; the images that it was trained with are recorded too.
        """
        images = (each.image for each in examples)
        digests = (digest_of_file(each.path, each.offset, each.size) for each in images)
        text = text_of_digests([*read_digests(start), *digests])
        with replacing(self.root / TRAINING_IMAGES) as temporary:
            temporary.write_text(text)

    def write_left_out(self, rows: Sequence[LeftOut]) -> None:
        """Record the pairs that cannot be used."""
        with replacing(self.file("left_out.jsonl")) as temporary:
            lines = (json.dumps(asdict(row), ensure_ascii=True) + "\n" for row in rows)
            temporary.write_text("".join(lines), encoding="utf-8")

    def read_left_out(self) -> list[LeftOut]:
        """Read the pairs that :meth:`write_left_out` recorded."""
        try:
            with self.file("left_out.jsonl").open(encoding="utf-8") as file:
                rows = [check_left_out(json.loads(line), self.file("left_out.jsonl")) for line in file]
                return [LeftOut(**row) for row in rows]
        except (OSError, ValueError, RecursionError) as problem:
            raise InputError(f"cannot read {self.file('left_out.jsonl')}: {problem}") from None

    def save_checkpoint(self, progress: Progress, states: dict[str, Any]) -> None:
        """Save a checkpoint of the run, atomically."""
        import torch

        with replacing(self.file("checkpoint.pt")) as temporary:
            torch.save({"progress": progress.as_plain, **states}, temporary)

    def load_checkpoint(self) -> tuple[Progress, dict[str, Any]] | None:
        """Return the checkpoint of an earlier run, without running code in it; ``None`` if it has none."""
        path = self.file("checkpoint.pt")
        if not path.is_file():
            return None
        states = read_states(path)
        progress = Progress(**check_progress(states.pop("progress", None), path))
        progress.best = tuple(progress.best)
        return progress, states

    def save_best(self, weights: dict[str, Any]) -> None:
        """Save the best weights so far."""
        from safetensors.torch import save_file

        with replacing(self.file("best.safetensors")) as temporary:
            save_file(weights, temporary)

    def load_best(self, network: Any) -> dict[str, Any]:
        """Return the weights that :meth:`save_best` saved.

        Raises
        ------
        InputError, CheckpointError
            If the file is damaged, or belongs to another network.
        """
        path = self.file("best.safetensors")
        try:
            weights = read_state_dict(path)
        except OSError as problem:
            raise InputError(f"cannot read {path}: {problem.strerror or problem}") from None
        check_weights(weights, network, path)
        return weights

    def drop_state(self) -> None:
        """Remove the files that only an incomplete run needs."""
        for name in ("checkpoint.pt", "best.safetensors"):
            self.file(name).unlink(missing_ok=True)
