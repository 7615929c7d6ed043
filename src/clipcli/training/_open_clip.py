"""Imports from open_clip and its trainer, which also work if torchvision does not match torch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from clipcli.models._torchvision import import_open_clip

__all__ = ["ClipLoss", "PreprocessCfg", "cosine_lr", "image_transform", "init_distributed_device", "train_one_epoch"]

_open_clip: Any = import_open_clip()
ClipLoss: Any = _open_clip.loss.ClipLoss
PreprocessCfg: Any = _open_clip.transform.PreprocessCfg
image_transform: Any = _open_clip.transform.image_transform_v2
cosine_lr: Any = import_module("open_clip_train.scheduler").cosine_lr
init_distributed_device: Any = import_module("open_clip_train.distributed").init_distributed_device
train_one_epoch: Any = import_module("open_clip_train.train").train_one_epoch
