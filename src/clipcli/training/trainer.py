"""Run open_clip's trainer epoch by epoch, with validation and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from clipcli.errors import Interrupted
from clipcli.models.allocator import keep_freed_memory
from clipcli.training._open_clip import cosine_lr, train_one_epoch
from clipcli.training.base_model import Start
from clipcli.training.best_epoch import Progress
from clipcli.training.data import TrainingData
from clipcli.training.loss import GroupedLoss, TwoTowers
from clipcli.training.metrics_log import MetricsFile
from clipcli.training.model_folder import plain_weights
from clipcli.training.request import Place, Reporter
from clipcli.training.restore import restore
from clipcli.training.run_folder import TrainingFolder
from clipcli.training.settings import Settings
from clipcli.training.signals import Interruption
from clipcli.training.validation import HeldOut, Validation, validate

__all__ = ["Training"]

_AUTOCAST = {"fp32": "fp32", "bf16": "amp_bf16", "fp16": "amp"}
_LONGEST_GRADIENT = 1.0
_LOGGED = 2_000  # steps that are logged one by one; in longer runs, every tenth is


class Training:
    """One run.

    Parameters
    ----------
    start
        The network, which is changed in place.
    data
        Batches for open_clip's trainer.
    held_out
        The validation pairs, if any; only the first process uses them.
    folder
        The folder that the first process writes to.
    save_every
        Seconds between two checkpoints within an epoch.
    """

    def __init__(
        self,
        start: Start,
        data: TrainingData,
        held_out: HeldOut | None,
        settings: Settings,
        folder: TrainingFolder,
        place: Place,
        reporter: Reporter,
        save_every: float = 300.0,
    ) -> None:
        self._start, self._data, self._held_out, self._settings = start, data, held_out, settings
        self._folder, self._place, self._reporter, self._save_every = folder, place, reporter, save_every
        self._network = start.network.to(place.device)
        self._model = self._wrapped()
        self._optimizer = _optimizer(self._network, settings)
        self._scaler = torch.amp.GradScaler(place.device) if settings.precision == "fp16" else None
        self._scheduler = cosine_lr(
            self._optimizer, settings.learning_rate, settings.warmup, data.steps * settings.epochs
        )
        self._loss = GroupedLoss(place.rank, place.world)
        self._progress = Progress()
        self.metrics = MetricsFile(folder.file("metrics.jsonl"))
        self._interruption = Interruption()
        self._logged = 1 if data.steps * settings.epochs <= _LOGGED else 10  # interval in steps
        self._first_step = 0  # of the current epoch, if the run is resumed in it

    def _wrapped(self) -> Any:
        towers: Any = TwoTowers(self._network, keep_statistics=not self._start.from_scratch)
        place = self._place
        if place.world == 1:
            return towers
        if place.device.startswith("cuda"):
            towers = torch.nn.SyncBatchNorm.convert_sync_batchnorm(towers)
            return DistributedDataParallel(towers, device_ids=[torch.device(place.device)])
        return DistributedDataParallel(towers)

    def resume(self) -> Progress:
        """Restore the last checkpoint; start again if there is none, or it was saved before the first step."""
        loaded = self._folder.load_checkpoint()
        if loaded is not None and loaded[0].has_started:
            self._progress, states = loaded
            path = self._folder.file("checkpoint.pt")
            restore(self._network, self._optimizer, self._scaler, states, path)
        return self._progress

    def fit(self) -> Progress:
        """Train to the end, or until there is no improvement.

        Raises
        ------
        Interrupted
            If the user stops the run; a checkpoint is saved.
        """
        settings = self._settings
        if self._place.device == "cpu":
            keep_freed_memory()
        if self._place.is_first:
            self._cut_metrics()
        self._data.before_step = self._before_step
        self._saved = time.monotonic()
        try:
            with self._interruption.watched():
                if not self._progress.has_started:
                    self._measure()
                while self._progress.epoch < settings.epochs and not self._is_stale():
                    self._train_epoch()
                    self._progress.epoch, self._progress.step = self._progress.epoch + 1, 0
                    self._measure()
                    self._save()
        except KeyboardInterrupt:
            raise Interrupted(
                "interrupted; continue from the last checkpoint by the same command with --resume"
            ) from None
        return self._progress

    def _cut_metrics(self) -> None:
        """Remove lines after the last checkpoint, which are measured again."""
        if self._progress.has_started:
            self.metrics.cut(self._progress.epoch, self._steps_done())
        else:
            self.metrics.clear()  # the measures of the initial weights too

    def _train_epoch(self) -> None:
        place, settings = self._place, self._settings
        self._first_step = self._progress.step
        self._data.start_at(self._first_step)
        arguments = SimpleNamespace(
            device=place.device,
            precision=_AUTOCAST[settings.precision],
            accum_freq=settings.accumulate,
            grad_clip_norm=_LONGEST_GRADIENT,
            log_every_n_steps=self._logged,
            batch_size=settings.batch_size // (settings.accumulate * place.world),
            rank=place.rank,
            local_rank=place.local_rank,
            world_size=place.world,
            distill=False,
            skip_scheduler=False,
            horovod=False,
            wandb=False,
        )
        with self._interruption.stepping():
            train_one_epoch(
                self._model,
                {"train": self._data},
                self._loss,
                self._progress.epoch,
                self._optimizer,
                self._scaler,
                lambda step: self._scheduler(step + self._first_step),  # the trainer counts the remaining steps
                None,
                arguments,
                tb_writer=_StepLog(self) if place.is_first else None,
            )

    def _before_step(self, epoch: int, step: int) -> None:
        """Save a checkpoint or stop, if it is time to; all earlier steps are done."""
        self._progress.step = step
        due = time.monotonic() - self._saved > self._save_every and step > self._first_step
        alone = self._place.world == 1  # together, all would have to stop at the same step
        if (due and step % self._logged == 0) or (self._interruption.asked and alone):
            self._save()
        if self._interruption.asked:
            kept = f"at step {self._steps_done()} of {self._data.steps * self._settings.epochs}" if alone else ""
            raise Interrupted(
                f"interrupted {kept or f'in epoch {epoch + 1}'}; continue by the same command with --resume"
            )

    def log_step(self, step: int, values: Mapping[str, float]) -> None:
        """Record the scalars of one step of open_clip's trainer."""
        number = step + self._first_step + 1
        row = {
            "step": number,
            "epoch": self._progress.epoch + 1,
            "loss": values["loss"],
            "learning_rate": values["lr"],
            "logit_scale": values["scale"],
            "pairs_per_second": round(values["samples_per_second"], 1),
        }
        self.metrics.write(row)
        self._reporter.step(row, self._data.steps * self._settings.epochs)

    def _measure(self) -> None:
        """Measure on the validation pairs, and save the weights if they are the best."""
        progress = self._progress
        if not self._place.is_first:
            return
        validation = self.validate() if self._held_out is not None else None
        best = validation is None or progress.note(progress.epoch, validation)
        if validation is not None:
            measured = {"epoch": progress.epoch, "step": self._steps_done(), "validation": validation.as_json}
            self.metrics.write(measured)
        else:
            progress.best_epoch = progress.epoch
        if best:
            self._folder.save_best(plain_weights(self._network))
        self._reporter.epoch(progress.epoch, self._settings.epochs, validation, best)

    def validate(self) -> Validation:
        """Measure the current network on the validation pairs."""
        assert self._held_out is not None  # noqa: S101
        start = self._start
        return validate(self._network, start.preprocessing, start.tokenizer, self._place.device, self._held_out)

    def _is_stale(self) -> bool:
        """Return, the same in all processes, whether to stop early."""
        stale = bool(self._settings.patience) and self._progress.stale >= self._settings.patience
        if self._place.world > 1:
            sent = [stale]
            torch.distributed.broadcast_object_list(sent, src=0)
            stale = sent[0]
        return stale

    def _save(self) -> None:
        if self._place.is_first:
            states = {"network": self._network.state_dict(), "optimizer": self._optimizer.state_dict()}
            if self._scaler is not None:
                states["scaler"] = self._scaler.state_dict()
            self.metrics.sync()
            self._folder.save_checkpoint(self._progress, states)
        self._saved = time.monotonic()

    def _steps_done(self) -> int:
        return self._progress.epoch * self._data.steps + self._progress.step


class _StepLog:
    """Replaces a TensorBoard writer: gathers the scalars of a step, and passes them on together."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._values: dict[str, float] = {}

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Receive one value; the loss is the last of a step."""
        self._values[name.removeprefix("train/")] = value
        if name == "train/loss":
            self._training.log_step(step, self._values)


def _optimizer(network: Any, settings: Settings) -> torch.optim.AdamW:
    """Return AdamW configured as in open_clip's trainer: no decay of biases, normalisations and the logit scale."""
    plain: list[Any] = []
    decayed: list[Any] = []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            free = parameter.ndim < 2 or any(part in name for part in ("bn", "ln", "bias", "logit_scale"))
            (plain if free else decayed).append(parameter)
    groups = [{"params": plain, "weight_decay": 0.0}, {"params": decayed, "weight_decay": settings.weight_decay}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-6)
