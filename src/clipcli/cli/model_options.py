"""Options that choose the model, its device, precision and engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from clipcli.models.engines import AUTOMATIC, choose_engine

__all__ = ["Device", "Model", "ModelName", "ModelOnCluster", "Offline", "Pretrained"]

_MODEL = "Model"


def _complete_model(incomplete: str) -> list[str]:
    from clipcli.models.registry import architecture_names

    return [name for name in ("auto", "pocket", *architecture_names()) if name.startswith(incomplete)]


def _forbid_network(offline: bool) -> bool:
    """Forbid network access in the whole process, so that no command has to pass the option on."""
    from clipcli.storage.network_policy import forbid_in_process

    forbid_in_process(offline)
    return offline


ModelName = Annotated[
    str,
    typer.Option(
        "--model", "-m", metavar="NAME", envvar="CLIPCLI_MODEL", rich_help_panel=_MODEL, autocompletion=_complete_model,
        help="Model: auto (the recommended model if its weights can be had, else pocket), pocket (small, built in), an "
             "open_clip name (see 'clipcli models list'), hf-hub:ORG/REPO or local-dir:PATH.",
    ),
]  # fmt: skip
Pretrained = Annotated[
    str | None,
    typer.Option(
        "--pretrained", metavar="TAG|FILE", envvar="CLIPCLI_PRETRAINED", rich_help_panel=_MODEL,
        help="Weights of an open_clip model: a tag (see 'clipcli models list'), or a checkpoint file. [default: the "
             "recommended tag]",
    ),
]  # fmt: skip
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        envvar="CLIPCLI_DEVICE",
        rich_help_panel=_MODEL,
        help="Device: auto, cpu, cuda, cuda:N or mps.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision", metavar="NAME", envvar="CLIPCLI_PRECISION", rich_help_panel=_MODEL,
        help="Precision of the image encoder: auto, fp32, bf16 or fp16.",
    ),
]  # fmt: skip
Engine = Annotated[
    str,
    typer.Option(
        "--engine", metavar="NAME", envvar="CLIPCLI_ENGINE", rich_help_panel=_MODEL,
        help="Software that runs the encoders: auto, torch or openvino (for CPUs).",
    ),
]  # fmt: skip
AnyEngine = Annotated[
    str,
    typer.Option(
        "--engine", metavar="NAME", envvar="CLIPCLI_ENGINE", rich_help_panel=_MODEL,
        help="Software that runs the encoders: auto, torch or openvino (for CPUs); on a Ray cluster, ray or "
             "ray+openvino.",
    ),
]  # fmt: skip
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        envvar="CLIPCLI_OFFLINE",
        rich_help_panel=_MODEL,
        callback=_forbid_network,
        help="Do not use the network.",
    ),
]


@dataclass(frozen=True)
class Model:
    """The options that choose a model and what runs it; see :mod:`clipcli.cli.groups`."""

    model: ModelName = "auto"
    pretrained: Pretrained = None
    device: Device = "auto"
    precision: Precision = "auto"
    engine: Engine = AUTOMATIC
    offline: Offline = False

    @property
    def running(self) -> dict[str, Any]:
        """The parameters that say how a model is run, whichever it is."""
        return {
            "device": self.device, "precision": self.precision, "engine": self.encoder_engine, "offline": self.offline,
        }  # fmt: skip

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of :class:`clipcli.Classifier` and :class:`clipcli.Embedder` that they stand for."""
        return {"model": self.model, "pretrained": self.pretrained, **self.running}

    @property
    def encoder_engine(self) -> str:
        """What runs the encoders."""
        return self.engine


@dataclass(frozen=True)
class ModelOnCluster(Model):
    """The same for a command that can also run on a cluster."""

    engine: AnyEngine = AUTOMATIC

    @property
    def encoder_engine(self) -> str:
        """What runs the encoders, on this machine or on those of a cluster."""
        return choose_engine(self.engine).name
