"""Where the results or embeddings of a run go: a file or a folder of parts, and in which format."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from clipcli.errors import OutputError

__all__ = ["Destination", "Format", "is_folder"]


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


@dataclass(frozen=True)
class Destination:
    """A file, or a folder of parts, and what may be there.

    Parameters
    ----------
    output
        The name of a file; or of a folder, which ends with a slash or is a URL.
    form
        The format: ``csv``, or the suffix of the parts.
    resume, overwrite
        Continue an earlier run there, or replace it.
    part_size
        Inputs in each part of a folder.
    """

    output: str
    form: str
    resume: bool = False
    overwrite: bool = False
    part_size: int = 4096

    @property
    def in_parts(self) -> bool:
        """Whether it is a folder of parts."""
        return is_folder(self.output)

    @property
    def file(self) -> Path:
        """The one file that it is."""
        return Path(self.output)

    @property
    def is_resumable(self) -> bool:
        """Whether results are saved as they come: in a regular file of a format made of rows, or in parts."""
        from clipcli.outputs.resume import RESUMABLE

        is_special = not self.in_parts and self.file.exists() and not self.file.is_file()
        return self.in_parts or (not is_special and self.form in RESUMABLE)

    @classmethod
    def for_results(
        cls, output: str, form: str | None = None, *, inputs: Iterable[object] = (), resume: bool = False,
        overwrite: bool = False, part_size: int = 4096,
    ) -> Destination:  # fmt: skip
        """Choose the format of results by ``form``, else by the name, and check all that can be checked by now.

        Parameters
        ----------
        inputs
            Files that may not be overwritten; values of other kinds are passed over.

        Raises
        ------
        OutputError
            If the format cannot be told, or cannot be written or resumed there; or there is an earlier run that may
            be neither continued nor replaced.
        """
        _check_name(output, resume=resume, overwrite=overwrite)
        if is_folder(output):
            from clipcli.outputs.part_forms import check_part_suffix

            form = check_part_suffix(output, form)
        else:
            _check_not_input(Path(output), inputs)
        chosen = cls(output, form or _format_of(output), resume, overwrite, part_size)
        chosen._check_results()
        return chosen

    @classmethod
    def for_embeddings(
        cls, output: str, form: str | None = None, *, inputs: Iterable[object] = (), resume: bool = False,
        overwrite: bool = False, part_size: int = 4096,
    ) -> Destination:  # fmt: skip
        """Do the same for the embeddings of images; a file's suffix is its format.

        Raises
        ------
        OutputError
            As for results.
        """
        from clipcli.outputs.class_embeddings import check_suffix
        from clipcli.outputs.part_forms import check_part_suffix
        from clipcli.storage.atomic import is_special

        _check_name(output, resume=resume, overwrite=overwrite)
        if is_folder(output):
            chosen = cls(output, check_part_suffix(output, form), resume, overwrite, part_size)
            chosen._check_earlier()
            return chosen
        check_suffix(Path(output))
        _check_not_input(Path(output), inputs)
        suffix = Path(output).suffix.lower()
        if is_special(Path(output)) and suffix not in (".csv", ".jsonl"):
            raise OutputError(
                f"cannot write {output}: {suffix} needs a file, not a pipe or device (use .csv or .jsonl)"
            )
        return cls(output, suffix.lstrip("."), part_size=part_size)

    def _check_results(self) -> None:
        if self.form == Format.parquet.value:
            from clipcli.extras import pyarrow_or_error
            from clipcli.storage.atomic import is_special

            pyarrow_or_error()
            if not self.in_parts and is_special(self.file):
                raise OutputError(f"cannot write {self.output}: Parquet needs a file, not a pipe or device")
        if self.resume and not self.is_resumable:
            raise OutputError(f"{self.output}: --resume works with jsonl, csv, tsv and parquet files")
        self._check_earlier()

    def _check_earlier(self) -> None:
        """Raise :class:`OutputError` if an earlier run is kept there, and this may not continue or replace it."""
        if self.in_parts:
            from clipcli.outputs.parts import check_folder
            from clipcli.storage.folders import folder_at

            check_folder(folder_at(self.output), resume=self.resume, overwrite=self.overwrite)
        elif self.is_resumable:
            from clipcli.outputs.resume import check_file

            check_file(self.file, resume=self.resume, overwrite=self.overwrite)


def _check_name(output: str, *, resume: bool, overwrite: bool) -> None:
    """Raise :class:`OutputError` for a name that nothing can be written to, or wishes that exclude each other."""
    from clipcli.storage.locations import is_remote
    from clipcli.storage.network import check_location

    check_location(output)
    if resume and overwrite:
        raise OutputError("--resume and --overwrite exclude each other")
    if "://" in output and not is_remote(output):
        raise OutputError(f"{output}: no place that can be written; name a folder, or s3://, gs:// or az://")
    if not is_folder(output) and Path(output).is_dir():
        raise OutputError(f"{output}: is a folder; end its name with / to write parts in it, or name a file in it")


def _check_not_input(file: Path, inputs: Iterable[object]) -> None:
    from clipcli.storage.atomic import check_writable

    check_writable(file, [each for each in inputs if isinstance(each, str | Path)])


def _format_of(output: str) -> str:
    suffix = Path(output).suffix.lower().lstrip(".")
    if suffix in Format.__members__ and suffix != Format.table.value:
        return suffix
    raise OutputError(
        f"{output}: cannot tell the format from its name; use .jsonl, .json, .csv, .tsv or .parquet, or --format"
    )
