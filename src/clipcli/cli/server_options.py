"""Options of commands that can let a running server do their work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clipcli.cli.label_options import Labels
    from clipcli.cli.model_options import Model
    from clipcli.cli.score_options import Scores
    from clipcli.serving.remote import RemoteClassifier

__all__ = ["Server"]

_SERVER = "Server"


@dataclass(frozen=True)
class Server:
    """The options that name a server; see :mod:`clipcli.cli.groups`."""

    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            metavar="URL",
            envvar="CLIPCLI_SERVER",
            rich_help_panel=_SERVER,
            show_default=False,
            help="Let a running 'clipcli serve' classify the images; no model is loaded. Without labels, those of the "
            "server are used.",
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", rich_help_panel=_SERVER, show_default=False,
            help="File with the token of the server. [default: the variable CLIPCLI_TOKEN]",
        ),
    ] = None  # fmt: skip

    def classifier(self, labels: Labels, model: Model, scores: Scores) -> RemoteClassifier:
        """Return a classifier whose work the server does.

        Raises
        ------
        ClipcliError
            If the URL, the token, a label or a template cannot be used.
        """
        import os

        from clipcli.labels.templates import resolve_templates
        from clipcli.serving.client import ServerClient
        from clipcli.serving.remote import RemoteClassifier
        from clipcli.serving.security import read_token

        token = read_token(os.environ.get("CLIPCLI_TOKEN") or None, self.token_file)
        has_prompts = labels.template or labels.prompts
        templates = resolve_templates(list(labels.template or ()), list(labels.prompts or ())) if has_prompts else []
        parameters = scores.parameters
        del parameters["calibration"]
        return RemoteClassifier(
            ServerClient(self.server or "", token), labels.load() if labels.labels or labels.label else None,
            templates=[template.text for template in templates], model=None if model.model == "auto" else model.model,
            **parameters,
        )  # fmt: skip
