"""Runs of a classifier: the results of many images go into a file, or into a folder of parts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clipcli.embedder import Embedder
from clipcli.inputs.discover import Input, Source
from clipcli.inputs.given import source_of
from clipcli.outputs.destination import Destination
from clipcli.outputs.output import Output
from clipcli.outputs.run_settings import RunSettings
from clipcli.outputs.text_formats import Layout
from clipcli.pipeline.chunks import EncoderFacts, LocalEngine
from clipcli.pipeline.predictions import Result, failure_of
from clipcli.runner import SILENT, OpenEngine, Outcome, Reporter, Task, run

if TYPE_CHECKING:
    from clipcli.inputs.given import ImageLike, Names

__all__ = ["ResultRuns"]


class ResultRuns(Embedder):
    """An embedder whose subclass turns embeddings into results, and what runs over many images need of it."""

    @abstractmethod
    def settings(self, facts: EncoderFacts | None = None) -> RunSettings:
        """Return all that decides what the results of a run say."""

    @abstractmethod
    def layout(self, form: str) -> Layout:
        """Return how results are laid out in a format."""

    @property
    @abstractmethod
    def templates(self) -> list[str]:
        """The prompt templates."""

    @abstractmethod
    def classify(self, images: Iterable[ImageLike] | ImageLike, *, even_batches: bool = False) -> Iterator[Result]:
        """Classify images and yield one result per image, in order."""

    def classify_to(
        self, output: str | Path, inputs: Names, *, file_format: str | None = None, resume: bool = False,
        overwrite: bool = False, update: bool = False, part_size: int = 4096, compact: bool = False,
        drop_missing: bool = False,
        reporter: Reporter = SILENT,
    ) -> Outcome:  # fmt: skip
        """Classify images and write the results to a file, or to a folder of parts.

        Results are saved as they come, and the file appears at the end. Memory does not grow with the number of images.

        Parameters
        ----------
        output
            A ``.csv``, ``.tsv``, ``.jsonl``, ``.json`` or ``.parquet`` file; a folder if the name ends with a slash
            or is the URL of an object store.
        inputs
            The inputs, as for ``clipcli classify``: paths, folders, patterns, archives, URLs; a
            :class:`~clipcli.inputs.discover.Source`; or :class:`~clipcli.ImageEmbeddings`.
        file_format
            The format, if not that of the extension; for a folder ``jsonl`` or ``parquet`` (default with pyarrow).
        resume, overwrite, update
            Continue an interrupted run, if there is one (if the run is complete, only compare its settings and inputs);
            replace an earlier run; or add records of new inputs to it and compute failed ones again.
        drop_missing
            With ``update``: remove the records of files that no longer exist on the disk.
        part_size
            Inputs per part of a folder.
        compact
            Leave out the columns of similarities and of the model in CSV, TSV and Parquet.
        reporter
            Receives the events of the run.

        Returns
        -------
        The numbers of records and failures, including those of an earlier run.

        Raises
        ------
        OutputError
            If the output cannot be written, or there is an interrupted run and neither ``resume`` nor ``overwrite`` is
            set; if the inputs or settings of the run to resume differ.
        InputError
            If there is nothing to classify.
        Interrupted
            If the user stopped the run; the message names what was saved.
        ClipcliError
            As for :meth:`classify`.
        """
        source = source_of(inputs)
        destination = Destination.for_results(
            str(output), file_format, inputs=source.names,
            resume=resume, overwrite=overwrite, update=update, part_size=part_size, compact=compact,
        )  # fmt: skip
        destination = replace(destination, drop_missing=drop_missing)
        return run(self.task(source), self.result_output(destination), reporter)

    def task(self, source: Source, open_engine: OpenEngine[Result] | None = None) -> Task[Result]:
        """Return the work of classifying all inputs, here or by another engine; see :mod:`clipcli.runner`."""

        def results(items: Iterable[Input], even_batches: bool) -> Iterator[Result]:
            return self.classify(items, even_batches=even_batches)

        facts = self.given.facts(source)
        return Task(source, open_engine or (lambda: nullcontext(LocalEngine(results, facts))), failure_of)

    def result_output(self, destination: Destination) -> Output[Result]:
        """Return the output that results are written to."""
        from clipcli.outputs.on_disk import result_output  # not needed for an answer on a stream

        return result_output(destination, self.layout, self.settings, lambda: {"templates": self.templates})
