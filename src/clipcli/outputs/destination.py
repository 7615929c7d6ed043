"""The destination of results or embeddings: a file or a folder of parts, and its format."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from clipcli.errors import OutputError

__all__ = ["Destination", "Format", "check_compact", "check_extension", "is_folder"]


class Format(str, Enum):
    """The format of results; the names of :data:`clipcli.outputs.text_formats.FORMATS`."""

    table = "table"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


def check_compact(form: str, *, compact: bool) -> None:
    """Raise :class:`OutputError` if a format has no columns to leave out."""
    if compact and form not in ("csv", "tsv", "parquet"):
        raise OutputError(f"cannot write compact {form}: it has no columns to leave out (use csv, tsv or parquet)")


def check_extension(output: str, form: str) -> None:
    """Raise :class:`OutputError` if the extension of a file is that of another format than the one asked for."""
    suffix = Path(output).suffix.lower().lstrip(".")
    named = {"ndjson": Format.jsonl.value, "htm": "html"}.get(suffix, suffix)
    if named != form and named in (*(each.value for each in Format if each is not Format.table), "html"):
        raise OutputError(
            f"cannot write {form} to {output}: its extension is that of {named} (leave out --format, or name another "
            "file)"
        )


def is_folder(output: str | None) -> bool:
    """Return whether the output is a folder of parts: a name that ends with a slash, or a URL."""
    return output is not None and (output.endswith(("/", os.sep)) or "://" in output)


@dataclass(frozen=True)
class Destination:
    """A file or a folder of parts, and whether an earlier run there is continued or replaced.

    Parameters
    ----------
    output
        The name of a file; or of a folder, if it ends with a slash or is a URL.
    form
        The format, such as ``csv``; or that of the parts.
    resume, overwrite
        Whether to continue or replace an earlier run.
    part_size
        Inputs per part of a folder.
    compact
        Leave out the columns of similarities and of the model; for results in a format with columns.
    update
        Whether records are added to an earlier run.
    drop_missing
        With ``update``: remove the records of files that were deleted.
    """

    output: str
    form: str
    resume: bool = False
    overwrite: bool = False
    part_size: int = 4096
    compact: bool = False
    update: bool = False
    drop_missing: bool = False

    @property
    def in_parts(self) -> bool:
        """Whether results go into a folder of parts."""
        return is_folder(self.output)

    @property
    def file(self) -> Path:
        """The path of the output file."""
        return Path(self.output)

    @property
    def is_resumable(self) -> bool:
        """Whether an interrupted run can be continued: the output is a folder, or a file in a row-based format."""
        from clipcli.outputs.resume import RESUMABLE
        from clipcli.storage.atomic import is_special

        return self.in_parts or (self.form in RESUMABLE and not is_special(self.file))

    @classmethod
    def for_results(
        cls, output: str, form: str | None = None, *, inputs: Iterable[object] = (), resume: bool = False,
        overwrite: bool = False, part_size: int = 4096, compact: bool = False, update: bool = False,
    ) -> Destination:  # fmt: skip
        """Choose the format of results by ``form``, else by the extension, and check the output.

        Parameters
        ----------
        inputs
            Files that may not be overwritten; values of other types are ignored.

        Raises
        ------
        OutputError
            If the format is unknown, or cannot be written or resumed there; or if there is an earlier run that may
            neither be continued nor replaced.
        """
        _check_name(output, resume=resume, overwrite=overwrite, update=update)
        if is_folder(output):
            from clipcli.outputs.part_forms import check_part_suffix

            form = check_part_suffix(output, form)
        else:
            if form is not None:
                check_extension(output, form)
            _check_file(Path(output), inputs, overwrite=overwrite or None)  # an earlier run is checked below
        chosen = cls(output, form or _format_of(output), resume, overwrite, part_size, compact, update)
        check_compact(chosen.form, compact=compact)
        chosen._check_results()
        return chosen

    @classmethod
    def for_embeddings(
        cls, output: str, form: str | None = None, *, inputs: Iterable[object] = (), resume: bool = False,
        overwrite: bool = False, part_size: int = 4096, update: bool = False,
    ) -> Destination:  # fmt: skip
        """Do the same for image embeddings; the extension of a file is its format.

        Raises
        ------
        OutputError
            As for results.
        """
        from clipcli.outputs.class_embeddings import check_suffix
        from clipcli.outputs.embedding_arrays import path_lines_of
        from clipcli.outputs.image_embeddings import IMAGE_SUFFIXES
        from clipcli.outputs.part_forms import check_part_suffix
        from clipcli.storage.atomic import is_special

        _check_name(output, resume=resume, overwrite=overwrite, update=update)
        if is_folder(output):
            form = check_part_suffix(output, form)
            chosen = cls(output, form, resume, overwrite, part_size, update=update)
            chosen._check_earlier()
            return chosen
        check_suffix(Path(output), IMAGE_SUFFIXES)
        if resume or update:
            folder = "a folder, whose name ends with /; cached embeddings are reused"
            raise _not_resumable(output, folder, "resume" if resume else "update")
        for file in filter(None, (Path(output), path_lines_of(Path(output)))):
            _check_file(file, inputs, overwrite=overwrite)
        suffix = Path(output).suffix.lower()
        if is_special(Path(output)) and suffix not in (".csv", ".jsonl"):
            raise OutputError(
                f"cannot write {output}: {suffix} needs a file, not a pipe or device (use .csv or .jsonl)"
            )
        return cls(output, suffix.lstrip("."), overwrite=overwrite, part_size=part_size)

    def _check_results(self) -> None:
        if self.form == Format.parquet.value:
            from clipcli.extras import pyarrow_or_error
            from clipcli.storage.atomic import is_special

            pyarrow_or_error()
            if not self.in_parts and is_special(self.file):
                raise OutputError(f"cannot write {self.output}: Parquet needs a regular file, not a pipe or device")
        if (self.resume or self.update) and not self.is_resumable:
            raise _not_resumable(self.output, "jsonl, csv, tsv or parquet", "resume" if self.resume else "update")
        self._check_earlier()

    def _check_earlier(self) -> None:
        """Raise :class:`OutputError` if there is an earlier run that this one may neither continue nor replace."""
        if self.in_parts:
            from clipcli.outputs.manifest import check_folder
            from clipcli.storage.folders import folder_at

            check_folder(folder_at(self.output), resume=self.resume or self.update, overwrite=self.overwrite)
        elif self.is_resumable:
            from clipcli.outputs.run_files import check_file

            check_file(self.file, resume=self.resume or self.update, overwrite=self.overwrite)
        else:
            _check_file(self.file, (), overwrite=self.overwrite)


def _not_resumable(output: str, choices: str, doing: str = "resume") -> OutputError:
    return OutputError(f"cannot {doing} {output}: its format cannot be {doing}d (use {choices})")


def _check_name(output: str, *, resume: bool, overwrite: bool, update: bool) -> None:
    """Raise :class:`OutputError` for a name that cannot be written to, or for options that contradict each other."""
    from clipcli.schemes import is_remote, schemes_in_words
    from clipcli.storage.network_policy import check_location

    check_location(output)
    given = [
        name for name, is_given in (("--resume", resume), ("--overwrite", overwrite), ("--update", update)) if is_given
    ]
    if len(given) > 1:
        raise OutputError(f"cannot use {given[0]} with {given[1]} (leave one out)")
    if "://" in output and not is_remote(output):
        raise OutputError(
            f"cannot write to {output}: not a writable location (name a folder, or {schemes_in_words(writable=True)})"
        )
    if not is_folder(output) and Path(output).is_dir():
        raise OutputError(
            f"cannot write {output}: it is a folder (end its name with / to write parts into it, or name a file in it)"
        )


def _check_file(file: Path, inputs: Iterable[object], *, overwrite: bool | None) -> None:
    from clipcli.outputs.own_files import check_output

    check_output(file, [each for each in inputs if isinstance(each, str | Path)], overwrite=overwrite)


def _format_of(output: str) -> str:
    suffix = Path(output).suffix.lower().lstrip(".")
    if suffix in Format.__members__ and suffix != Format.table.value:
        return suffix
    raise OutputError(
        f"cannot write {output}: unknown extension (use .jsonl, .json, .csv, .tsv or .parquet, or --format)"
    )
