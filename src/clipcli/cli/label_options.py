"""Options for labels and prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli.parameter_source import is_from_variable
from clipcli.errors import LabelError

if TYPE_CHECKING:
    from clipcli.labels.label import Label

__all__ = ["ClassesFile", "ExtraLabels", "Labels", "LabelsFile", "PromptSets", "Templates"]

_LABELS = "Labels and prompts"


def _complete_prompts(incomplete: str) -> list[str]:
    from clipcli.labels.templates import builtin_set_names

    return [name for name in builtin_set_names() if name.startswith(incomplete)]


LabelsFile = Annotated[
    Path | None,
    typer.Option(
        "--labels", "-L", metavar="FILE", envvar="CLIPCLI_LABELS", rich_help_panel=_LABELS,
        help="Label file: text (one label per line), .json, or .csv or .tsv with the column label and optionally "
             "prompt, group, folder, threshold and not. Labels of --label are added.",
    ),
]  # fmt: skip
ExtraLabels = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="TEXT", rich_help_panel=_LABELS, help="A label; repeat for more labels."),
]
Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--template", "-t", metavar="TEXT", rich_help_panel=_LABELS,
        help="Prompt template: a text with {label} in place of the label; repeat to average over several. [default: a "
             "photo of a {label}, or an {label}]",
    ),
]  # fmt: skip
PromptSets = Annotated[
    list[str] | None,
    typer.Option(
        "--prompts", "-p", metavar="NAME|FILE", rich_help_panel=_LABELS, autocompletion=_complete_prompts,
        help="Built-in set of prompt templates (see 'clipcli prompts list'), or a file with one template per line.",
    ),
]  # fmt: skip
ClassesFile = Annotated[
    Path | None,
    typer.Option(
        "--classes", metavar="FILE", rich_help_panel=_LABELS,
        help="Classes file (.safetensors or .json), written by 'clipcli teach' or 'clipcli export text', in place of "
             "labels and prompts.",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Labels:
    """The options that name labels and how prompts are made of them; see :mod:`clipcli.cli.groups`."""

    labels: LabelsFile = None
    label: ExtraLabels = None
    template: Templates = None
    prompts: PromptSets = None

    @property
    def files(self) -> Sequence[Path | str | None]:
        """What is read, and so must not be overwritten."""
        return [self.labels, *(self.prompts or ())]

    @property
    def prompt_parameters(self) -> dict[str, Any]:
        """The parameters of :class:`clipcli.Classifier` for prompts."""
        return {"templates": self.template or (), "prompts": self.prompts or ()}

    def check_unused(self, context: typer.Context) -> None:
        """Raise :class:`LabelError` for options that ``--classes`` replaces; a default may be in a variable."""
        if (self.labels and not is_from_variable(context, "labels")) or self.label or self.template or self.prompts:
            raise LabelError("--classes takes the place of labels and templates; leave those out")

    def load(self) -> list[Label]:
        """Read the labels; see :func:`clipcli.labels.files.load_labels`."""
        from clipcli.labels.files import load_labels

        return load_labels(self.labels, self.label or ())
