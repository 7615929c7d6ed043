"""A server as the command line starts it: models, labels, access and limits put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from clipcli.classifier import Classifier
from clipcli.embedder import Embedder
from clipcli.errors import InputError
from clipcli.serving.app import Api, build_app
from clipcli.serving.lifecycle import listen, serve_app, unload_idle
from clipcli.serving.limits import Limits
from clipcli.serving.parameters import Options
from clipcli.serving.security import Access, check_address
from clipcli.serving.service import Service
from clipcli.serving.warm import WarmModel

__all__ = ["ServerOptions", "serve"]


@dataclass(frozen=True)
class ServerOptions:
    """What decides how a server answers.

    Parameters
    ----------
    models
        Names of models; the first is the default.
    model_parameters
        The parameters of :class:`clipcli.Embedder` for all of them.
    labels
        The parameters of :class:`clipcli.Classifier` for the labels of the server; ``None`` if it has none.
    host, port
        Where it listens; port 0 for a free one.
    token
        What requests must know.
    names
        Further names by which clients call the server.
    insecure
        Let other machines use the server without a token.
    root
        The folder below which requests may name files.
    idle
        Seconds without a request after which a model is closed; ``None`` for never.
    limits
        What requests may use.
    """

    models: Sequence[str] = ("auto",)
    model_parameters: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] | None = None
    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    insecure: bool = False
    root: Path | None = None
    idle: float | None = None
    limits: Limits = field(default_factory=Limits)


def serve(options: ServerOptions, ready: Callable[[str], None]) -> None:
    """Load the first model and its labels, and answer requests until a signal comes.

    Parameters
    ----------
    ready
        Called with the URL of the server when it answers.

    Raises
    ------
    ClipcliError
        If the address, a model, the labels or the root folder cannot be used.
    """
    check_address(options.host, options.token, insecure=options.insecure)
    if options.root is not None and not options.root.is_dir():
        raise InputError(f"cannot use --root {options.root}: it is not a folder")
    with listen(options.host, options.port) as listening:
        service = Service(_warm_models(options), options.root, options.limits)
        try:
            first = service.model(None)
            first.opened()
            if options.labels is not None:
                first.label_set(Options())  # errors in them are reported now
            access = Access(options.host, options.token, options.names)
            api = Api(service, access, partial(_labels, first, has_labels=options.labels is not None))
            url = _url(options.host, listening.getsockname()[1])
            idle = None if options.idle is None else partial(unload_idle, service, options.idle)
            serve_app(
                build_app(api), listening, options.limits, ready=lambda: ready(url), stopping=api.stop, idle=idle
            )  # fmt: skip
        finally:
            service.close()


def _url(host: str, port: int) -> str:
    return f"http://[{host.strip('[]')}]:{port}" if ":" in host else f"http://{host}:{port}"


def _warm_models(options: ServerOptions) -> dict[str, WarmModel]:
    """Return the models by their names, none of them open; a name that cannot be used is reported now."""
    found: dict[str, WarmModel] = {}
    for given in options.models:
        embedder = Embedder(given, **options.model_parameters)
        name = embedder.source.name if given == "auto" else given
        if name in found:
            raise InputError(f"cannot use --model {name} twice (name each model once)")
        embedder.close()
        found[name] = WarmModel(partial(Embedder, given, **options.model_parameters), options.labels, options.limits)
    return found


def _labels(model: WarmModel, *, has_labels: bool) -> dict[str, Any]:
    """Return the labels of the server, as ``GET /v1/labels`` answers."""
    if not has_labels:
        return {"labels": [], "templates": [], "model": model.opened().embedder.source.name}
    classifier: Classifier = model.label_set(Options()).classifier
    classes = classifier.classes
    thresholds = classes.thresholds or (None,) * len(classes.labels)
    return {
        "labels": [
            {"name": name, "group": group, "threshold": threshold}
            for name, group, threshold in zip(classes.labels, classes.groups, thresholds, strict=True)
        ],
        "templates": classifier.templates,
        "model": classifier.source.name,
    }
