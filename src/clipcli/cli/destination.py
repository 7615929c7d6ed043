"""Where results go, and in which form."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from clipcli.errors import OutputError

__all__ = ["Destination", "Format", "check_output_name", "is_folder"]


class Format(str, Enum):
    """How results are written; the names of :data:`clipcli.outputs.writers.FORMATS`."""

    table = "table"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


def is_folder(output: str | None) -> bool:
    """Tell whether parts in a folder are asked for: a name that ends with a slash, or a URL."""
    return output is not None and (output.endswith(("/", os.sep)) or "://" in output)


def check_output_name(output: str | None, *, resume: bool, overwrite: bool) -> None:
    """Raise :class:`OutputError` for a name that nothing can be written to, or wishes that exclude each other."""
    from clipcli.storage.locations import is_remote
    from clipcli.storage.network import check_location

    check_location(output or "")
    if resume and overwrite:
        raise OutputError("--resume and --overwrite exclude each other")
    if output is not None and "://" in output and not is_remote(output):
        raise OutputError(f"{output}: no place that can be written; name a folder, or s3://, gs:// or az://")
    if output is not None and not is_folder(output) and Path(output).is_dir():
        raise OutputError(f"{output}: is a folder; end its name with / to write parts in it, or name a file in it")


@dataclass(frozen=True)
class Destination:
    """Where results go, stdout where that is ``None``; in which form; and what may stand there."""

    output: str | None
    form: Format
    resume: bool
    overwrite: bool

    @classmethod
    def choose(cls, output: str | None, form: Format | None, *, resume: bool, overwrite: bool) -> Destination:
        """Choose the form by ``--format``, else by the name, and check that it can be used there.

        Raises
        ------
        OutputError
            If the form cannot be told, or cannot be written or resumed there.
        """
        if is_folder(output):
            from clipcli.outputs.part_forms import check_part_suffix

            form = Format[check_part_suffix(str(output), form.value if form else None)]
        chosen = cls(output, form or _form_of(output), resume, overwrite)
        chosen._check()
        return chosen

    def _check(self) -> None:
        if self.resume and self.output is None:
            raise OutputError("--resume needs a file to go on with: name it with -o FILE")
        if self.form is Format.parquet:
            from clipcli.extras import pyarrow_or_error
            from clipcli.storage.atomic import is_special

            pyarrow_or_error()
            if self.output is None:
                raise OutputError("Parquet cannot be written to a pipe: name a file with -o FILE")
            if not self.in_parts and is_special(self.file):
                raise OutputError(f"cannot write {self.output}: Parquet needs a file, not a pipe or device")
        if self.resume and not self.in_parts and not self.is_resumable():
            raise OutputError(f"{self.output}: --resume works with jsonl, csv, tsv and parquet files")

    def check_earlier(self) -> None:
        """Raise :class:`OutputError` if an earlier run is kept there, and this may not continue or replace it."""
        if self.in_parts:
            from clipcli.outputs.parts import check_folder
            from clipcli.storage.folders import folder_at

            check_folder(folder_at(str(self.output)), resume=self.resume, overwrite=self.overwrite)
        elif self.is_resumable():
            from clipcli.outputs.resume import check_file

            check_file(self.file, resume=self.resume, overwrite=self.overwrite)

    @property
    def in_parts(self) -> bool:
        """Whether it is a folder of parts."""
        return is_folder(self.output)

    @property
    def file(self) -> Path:
        """The one file that it is."""
        return Path(str(self.output))

    def is_resumable(self) -> bool:
        """Tell whether records are kept as they come: in a regular file of a format made of rows."""
        from clipcli.outputs.resume import RESUMABLE

        special = self.output is not None and self.file.exists() and not self.file.is_file()
        return self.output is not None and not special and self.form.value in RESUMABLE

    def is_for_people(self) -> bool:
        """Tell whether tables go to a terminal."""
        return self.output is None and self.form is Format.table and sys.stdout.isatty()


def _form_of(output: str | None) -> Format:
    if output is None:
        return Format.table if sys.stdout.isatty() else Format.tsv
    suffix = Path(output).suffix.lower().lstrip(".")
    if suffix in Format.__members__ and suffix != "table":
        return Format[suffix]
    raise OutputError(
        f"{output}: cannot tell the format from its name; use .jsonl, .json, .csv, .tsv or .parquet, or --format"
    )
