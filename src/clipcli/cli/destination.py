"""The destination of results and their format."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from clipcli.errors import OutputError

__all__ = ["Destination", "Format", "check_output_name", "is_folder"]


class Format(str, Enum):
    """The format of results; the names of :data:`clipcli.outputs.writers.FORMATS`."""

    table = "table"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


def is_folder(output: str | None) -> bool:
    """Return whether the output is a folder of parts: a name that ends with a slash, or a URL."""
    return output is not None and (output.endswith(("/", os.sep)) or "://" in output)


def check_output_name(output: str | None, *, resume: bool, overwrite: bool) -> None:
    """Raise :class:`OutputError` for a name that cannot be written to, or for options that contradict each other."""
    from clipcli.storage.locations import is_remote
    from clipcli.storage.network import check_location

    check_location(output or "")
    if resume and overwrite:
        raise OutputError("cannot use --resume with --overwrite (leave one out)")
    if output is not None and "://" in output and not is_remote(output):
        raise OutputError(
            f"cannot write to {output}: not a writable location (name a folder, or s3://, gs:// or az://)"
        )
    if output is not None and not is_folder(output) and Path(output).is_dir():
        raise OutputError(
            f"cannot write {output}: it is a folder (end its name with / to write parts into it, or name a file in it)"
        )


@dataclass(frozen=True)
class Destination:
    """Where results go (``None`` is stdout), their format, and whether an earlier run is continued or replaced."""

    output: str | None
    form: Format
    resume: bool
    overwrite: bool

    @classmethod
    def choose(cls, output: str | None, form: Format | None, *, resume: bool, overwrite: bool) -> Destination:
        """Choose the format by ``--format``, else by the extension, and check that it can be written there.

        Raises
        ------
        OutputError
            If the format is unknown, or cannot be written or resumed there.
        """
        if is_folder(output):
            from clipcli.outputs.part_forms import check_part_suffix

            form = Format[check_part_suffix(str(output), form.value if form else None)]
        chosen = cls(output, form or _form_of(output), resume, overwrite)
        chosen._check()
        return chosen

    def _check(self) -> None:
        if self.resume and self.output is None:
            raise OutputError("cannot use --resume without an output file (name it with -o FILE)")
        if self.form is Format.parquet:
            from clipcli.extras import pyarrow_or_error
            from clipcli.storage.atomic import is_special

            pyarrow_or_error()
            if self.output is None:
                raise OutputError("cannot write Parquet to stdout: it needs a file (name one with -o FILE)")
            if not self.in_parts and is_special(self.file):
                raise OutputError(f"cannot write {self.output}: Parquet needs a regular file, not a pipe or device")
        if self.resume and not self.in_parts and not self.is_resumable():
            raise OutputError(
                f"cannot resume {self.output}: its format cannot be resumed (use jsonl, csv, tsv or parquet)"
            )

    def check_earlier(self) -> None:
        """Raise :class:`OutputError` if there is an earlier run that this one may neither continue nor replace."""
        if self.in_parts:
            from clipcli.outputs.parts import check_folder
            from clipcli.storage.folders import folder_at

            check_folder(folder_at(str(self.output)), resume=self.resume, overwrite=self.overwrite)
        elif self.is_resumable():
            from clipcli.outputs.resume import check_file

            check_file(self.file, resume=self.resume, overwrite=self.overwrite)

    @property
    def in_parts(self) -> bool:
        """Whether results go into a folder of parts."""
        return is_folder(self.output)

    @property
    def file(self) -> Path:
        """The path of the output file."""
        return Path(str(self.output))

    def is_resumable(self) -> bool:
        """Return whether an interrupted run can be continued: the output is a regular file in a row-based format."""
        from clipcli.outputs.resume import RESUMABLE

        special = self.output is not None and self.file.exists() and not self.file.is_file()
        return self.output is not None and not special and self.form.value in RESUMABLE

    def is_for_people(self) -> bool:
        """Return whether results are tables on a terminal."""
        return self.output is None and self.form is Format.table and sys.stdout.isatty()


def _form_of(output: str | None) -> Format:
    if output is None:
        return Format.table if sys.stdout.isatty() else Format.tsv
    suffix = Path(output).suffix.lower().lstrip(".")
    if suffix in Format.__members__ and suffix != "table":
        return Format[suffix]
    raise OutputError(
        f"cannot write {output}: unknown extension (use .jsonl, .json, .csv, .tsv or .parquet, or --format)"
    )
