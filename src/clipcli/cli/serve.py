"""``clipcli serve``: a model that stays open, behind HTTP."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import model_options, options
from clipcli.cli.groups import with_groups
from clipcli.cli.messages import Messages
from clipcli.errors import InputError
from clipcli.models.engines import AUTOMATIC

if TYPE_CHECKING:
    from clipcli.serving.server import ServerOptions

__all__ = ["seconds_in", "serve"]

_SERVER, _SAFETY = "Server", "Access"
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@with_groups
def serve(
    *,
    context: typer.Context,
    labels: options.Labels,
    classes: options.ClassesFile = None,
    calibration: Annotated[
        Path | None,
        typer.Option("--calibration", metavar="FILE", rich_help_panel="Labels and prompts", show_default=False,
                     help="Calibration for these labels: a file that --save-calibration of evaluate wrote."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="NAME", envvar="CLIPCLI_MODEL", rich_help_panel="Model",
                     help="Model, as for 'clipcli classify'; repeat for more models, which requests choose by name. "
                          "[default: auto]"),
    ] = None,
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: model_options.Precision = "auto",
    engine: model_options.Engine = AUTOMATIC,
    offline: options.Offline = False,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", rich_help_panel=_SERVER, help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", metavar="N", min=0, max=65535, rich_help_panel=_SERVER,
                     help="Port to listen on; 0 for a free one."),
    ] = 8765,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", rich_help_panel=_SERVER, show_default=False,
                     help="Folder whose images requests may name and search. Without it, no file can be named."),
    ] = None,
    idle: Annotated[
        str | None,
        typer.Option("--idle", metavar="TIME", rich_help_panel=_SERVER, show_default=False,
                     help="Close a model that was not used for this time, such as 10m; the next request opens it."),
    ] = None,
    queue: Annotated[
        int,
        typer.Option("--queue", metavar="N", min=64, rich_help_panel=_SERVER,
                     help="Images that may wait; above it, requests are answered with 429 (try again later)."),
    ] = 512,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="TEXT", envvar="CLIPCLI_TOKEN", rich_help_panel=_SAFETY, show_default=False,
                     help="Token that requests must send. Others on this machine can read a command line: prefer "
                          "--token-file or the variable."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", rich_help_panel=_SAFETY, show_default=False,
                     help="File with the token that requests must send."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", rich_help_panel=_SAFETY, show_default=False,
                     help="Further name by which clients call the server, such as that of a proxy; repeat for more."),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", rich_help_panel=_SAFETY,
                     help="Let other machines use the server without a token."),
    ] = False,
    running: options.Running,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Keep a model open, and classify over HTTP or in a browser.

    clipcli serve --labels labels.txt

    clipcli serve -l cat -l dog --host 0.0.0.0 --token-file token.txt
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    if classes is not None:
        labels.check_unused(context)
    from clipcli.serving.lifecycle import check_extra

    check_extra()
    from clipcli.serving.limits import Limits
    from clipcli.serving.security import read_token
    from clipcli.serving.server import ServerOptions
    from clipcli.serving.server import serve as run_server

    chosen = ServerOptions(
        models=model or ("auto",),
        model_parameters={
            "pretrained": pretrained, "device": device, "precision": precision, "engine": engine, "offline": offline,
            **running.parameters,
        },
        labels=_given_labels(labels, classes, calibration),
        host=host, port=port, token=read_token(token, token_file), names=tuple(allow_host or ()), insecure=insecure,
        root=root, idle=seconds_in(idle) if idle is not None else None, limits=Limits(queue=queue),
    )  # fmt: skip
    if pretrained is not None and len(chosen.models) > 1:
        raise InputError("cannot use --pretrained with several models (leave it out, or serve one model)")
    run_server(chosen, lambda url: _tell(url, chosen, messages))


def _given_labels(labels: options.Labels, classes: Path | None, calibration: Path | None) -> dict[str, Any] | None:
    """Return the parameters of :class:`clipcli.Classifier` for the labels of the server, if it has any."""
    if classes is not None:
        return {"classes": classes, "calibration": calibration}
    if labels.labels is None and not labels.label:
        return None
    return {"labels": labels.load(), "calibration": calibration, **labels.prompt_parameters}


def _tell(url: str, chosen: ServerOptions, messages: Messages) -> None:
    if chosen.insecure and chosen.token is None:
        messages.warn("other machines may use this server without a token (--insecure)")
    messages.note(f"serving on {url} (stop with Ctrl-C; {url}/docs describes the API)")


def seconds_in(time: str) -> float:
    """Turn a time such as ``90s``, ``10m`` or ``2h`` into seconds.

    Raises
    ------
    InputError
        If it is not a time, or zero.
    """
    found = re.fullmatch(r"\s*([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*([smh]?)\s*", time)
    seconds = float(found[1]) * _SECONDS[found[2] or "s"] if found else 0.0
    if not seconds:
        raise InputError(f"cannot read --idle {time!r}: not a time above zero (write it like 90s, 10m or 2h)")
    return seconds
