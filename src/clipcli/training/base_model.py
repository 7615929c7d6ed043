"""The initial network of a run: a pretrained model, or an architecture with random weights."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipcli.errors import ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.models.build import load_network, new_network, quiet_libraries
from clipcli.models.source import ModelSource
from clipcli.training.settings import Settings

__all__ = ["Start", "check_trainable", "lock_towers", "open_start"]


@dataclass(frozen=True)
class Start:
    """An open network with its preprocessing and tokenizer.

    Parameters
    ----------
    source
        The files of the model.
    from_scratch
        Whether its weights are random.
    identity
        Identifies the initial weights: by weights and settings, or by architecture and seed.
    network, preprocessing, tokenizer
        As returned by :func:`clipcli.models.build.load_network`.
    """

    source: ModelSource
    from_scratch: bool
    identity: str
    network: Any
    preprocessing: Preprocessing
    tokenizer: Any

    @property
    def model_config(self) -> dict[str, Any]:
        """The ``model_cfg`` from which open_clip builds this network without any other file."""
        config = copy.deepcopy(self.source.config)
        if self.source.quick_gelu:
            config["quick_gelu"] = True
        if "timm_model_name" in config["vision_cfg"]:
            config["vision_cfg"]["timm_model_pretrained"] = False
        return config

    @property
    def parameters(self) -> int:
        """The number of parameters of the network."""
        return sum(parameter.numel() for parameter in self.network.parameters())


def check_trainable(source: ModelSource) -> None:
    """Raise :class:`ModelError` for a model that is more than a pair of encoders with a contrastive loss."""
    if "multimodal_cfg" in source.config:
        raise ModelError(
            f"cannot train {source.title}: CoCa also learns to generate captions (train it with open_clip)"
        )


def open_start(source: ModelSource, sha256_of: Callable[[Path], str], scratch_seed: int | None = None) -> Start:
    """Open a network for training.

    Parameters
    ----------
    source
        From :func:`~clipcli.models.resolve.resolve_model`, or from :func:`~clipcli.models.resolve.untrained_model`.
    scratch_seed
        If given, the weights are random, from this seed.

    Raises
    ------
    ModelError
        If it cannot be opened or trained.
    """
    check_trainable(source)
    if scratch_seed is None:
        identity = source.fingerprint(sha256_of)
        network, preprocessing, tokenizer = load_network(source)
    else:
        settings = json.dumps([source.config, scratch_seed], sort_keys=True)
        identity = hashlib.sha256(settings.encode()).hexdigest()[:32]
        network, preprocessing, tokenizer = new_network(source, scratch_seed)
    return Start(source, scratch_seed is not None, identity, network, preprocessing, tokenizer)


def lock_towers(start: Start, settings: Settings) -> None:
    """Freeze an encoder except for its last layers (LiT, Zhai et al. 2022).

    Raises
    ------
    ModelError
        If open_clip cannot freeze that many layers of this encoder, or all weights would be frozen.
    """
    unlocked = settings.unlocked_layers
    try:
        with quiet_libraries():
            if settings.lock_image:
                start.network.lock_image_tower(unlocked_groups=unlocked)
            if settings.lock_text:
                start.network.lock_text_tower(unlocked_layers=unlocked)
    except (AssertionError, AttributeError, ImportError, IndexError, KeyError, RuntimeError) as problem:
        raise ModelError(
            f"cannot use --unlocked-layers with {start.source.title}: {str(problem) or 'not supported by open_clip'} "
            "(leave out --unlocked-layers)"
        ) from None
    names = [name for name, parameter in start.network.named_parameters() if parameter.requires_grad]
    if not set(names) - {"logit_scale", "logit_bias"}:
        raise ModelError(
            "cannot train with --lock-image and --lock-text: all weights would be frozen (use --unlocked-layers)"
        )
