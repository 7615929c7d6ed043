"""The public Python interface: a model and a set of labels, ready to classify images.

>>> from clipcli import Classifier
>>> classifier = Classifier("pocket", labels=["cat", "dog", "a cup of coffee"])   # doctest: +SKIP
>>> [result.label for result in classifier.classify(["photo.jpg"])]               # doctest: +SKIP
['cat']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from clipcli.cache.embeddings import ModelFacts
from clipcli.cache.limit import DEFAULT_LIMIT
from clipcli.errors import LabelError
from clipcli.inputs.given import check_count
from clipcli.labels.files import labels_from
from clipcli.labels.label import Label
from clipcli.labels.templates import Template, resolve_templates
from clipcli.outputs.run_settings import RunSettings, classify_settings
from clipcli.outputs.text_formats import Layout
from clipcli.pipeline.chunks import EncoderFacts
from clipcli.pipeline.class_embeddings import (
    ClassEmbeddings,
    Encode,
    TextStatistics,
    build_class_embeddings,
    embed_competitors,
    telling_cut,
)
from clipcli.pipeline.label_warnings import warn_of_language, warn_of_single_label, warn_of_unknown
from clipcli.pipeline.predictions import Result
from clipcli.pipeline.rank import Ranker
from clipcli.pipeline.scorer import Tagging, can_be_unknown, tag_options
from clipcli.result_runs import ResultRuns
from clipcli.scoring.thresholds import DEFAULT_THRESHOLD, Thresholds
from clipcli.scoring.tree import is_tree

if TYPE_CHECKING:
    from clipcli.embedder import Embedder
    from clipcli.inputs.given import ImageLike
    from clipcli.pipeline.calibration import FittedCalibration

__all__ = ["Classifier"]


class Classifier(ResultRuns):
    """Classify images with labels given as text.

    Class embeddings are computed, or read from the cache, on first use; the model is loaded to encode the first prompt.

    Parameters
    ----------
    model
        ``auto``, ``pocket``, an open_clip name, ``hf-hub:org/repo`` or ``local-dir:PATH``.
    labels
        Label texts or :class:`~clipcli.labels.files.Label` values, or the path of a label file. Not needed if
        ``classes`` is given.
    pretrained
        For an open_clip name: a tag or a checkpoint file.
    templates
        Prompt templates with ``{label}`` in them. The default is ``a photo of a {label}``.
    prompts
        Names or files of template sets.
    classes
        Classes instead of labels: a file written by ``clipcli teach`` or ``clipcli export text``, or the classes
        themselves.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision
        ``auto``, ``fp32``, ``bf16`` or ``fp16``, for the image encoder.
    engine
        ``torch``; ``openvino`` (an extra), for CPUs; or ``auto`` to choose for the machine and model.
    batch_size
        Images per batch. The default depends on the precision.
    workers
        Number of decoding threads. The default depends on the machine.
    top_k
        Number of labels per prediction.
    thresholds
        When to answer ``unknown``.
    tags
        Give an image all labels whose probability is at or above their threshold, instead of the best label.
    score
        With ``tags``: ``softmax``, ``sigmoid`` or ``contrast``. The default depends on the model.
    threshold
        With ``tags``: the least probability of labels without a separate threshold, 0 to 1.
    level
        With groups that are paths in a tree: the deepest level of the answer (``node``), 1 for the widest.
    calibration
        A file written by ``clipcli evaluate --save-calibration`` for the same model, labels and prompts. By default,
        the calibration in the file of ``classes``, if there is one; ``False`` for none.
    cache
        ``False`` for no cache; the path of the cache folder; or ``True`` for the folder in the environment variable
        ``CLIPCLI_CACHE_DIR``, else the user's cache folder.
    cache_limit
        Maximum size of the cache in bytes; above it, the oldest image embeddings are removed.
    offline
        Never open a socket.
    embedder
        An :class:`Embedder` whose open model and cache are shared, for many sets of labels; the parameters of the
        model and of the cache are then not used.

    Raises
    ------
    ClipcliError
        A subclass that names the label, template, model or file to fix.
    """

    def __init__(
        self,
        model: str = "auto",
        labels: Iterable[str | Label] | Path | None = None,
        *,
        pretrained: str | None = None,
        templates: Sequence[str] = (),
        prompts: Sequence[str] = (),
        classes: ClassEmbeddings | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        engine: str = "auto",
        batch_size: int | None = None,
        workers: int | None = None,
        top_k: int = 5,
        thresholds: Thresholds | None = None,
        tags: bool = False,
        score: str | None = None,
        threshold: float = DEFAULT_THRESHOLD,
        level: int | None = None,
        calibration: Path | Literal[False] | None = None,
        cache: bool | str | Path = True,
        cache_limit: int = DEFAULT_LIMIT,
        offline: bool = False,
        embedder: Embedder | None = None,
    ) -> None:
        if (labels is None) == (classes is None):
            raise LabelError("give either labels or classes")
        check_count("top_k", top_k)
        if embedder is None:
            super().__init__(
                model, pretrained=pretrained, device=device, precision=precision, engine=engine,
                batch_size=batch_size, workers=workers, cache=cache, cache_limit=cache_limit, offline=offline,
            )  # fmt: skip
        else:
            _ = embedder.image_encoder  # opens the model, which is shared from now on
            vars(self).update(vars(embedder))
        self._labels = labels_from(labels) if labels is not None else []
        self._templates = resolve_templates(list(templates), list(prompts))
        self._given_classes = classes
        self.top_k, self.thresholds = top_k, thresholds or Thresholds()
        self._tags = tag_options(tags, score, threshold, self.thresholds)
        self._calibration, self._level = calibration, level
        self.text_statistics: TextStatistics | None = None
        self._warned = False

    def settings(self, facts: EncoderFacts | None = None) -> RunSettings:
        """Return all that decides what the results of a run say.

        Parameters
        ----------
        facts
            Those of the image encoder, if it is not open here.
        """
        encoder = facts.settings if facts else self.encoder_settings
        settings = classify_settings(self.source.title, self.classes, self._limits, encoder, self.tagging)
        fitted = self.calibration
        if self._level is not None:
            if not is_tree(self.classes.groups):
                raise LabelError("cannot use --level: no group of the labels is a path such as animal/bird")
            settings = settings.having(level=self._level)
        return settings if fitted is None else settings.having(calibration=list(vars(fitted.correction).values()))

    def layout(self, form: str) -> Layout:
        """Return how results are laid out in a format."""
        ranks, grouped = min(self.top_k, len(self.classes.labels)), any(self.classes.groups)
        tagged, unsure = self.tagging is not None, can_be_unknown(self.classes, self._limits)
        in_tree = is_tree(self.classes.groups)
        return Layout(form, ranks, grouped, with_unknown=tagged or unsure, tagged=tagged, in_tree=in_tree)

    @property
    def _limits(self) -> Thresholds:
        """The thresholds for the answer ``unknown``, with that of the calibration."""
        return self.thresholds if self.calibration is None else self.calibration.with_unknown(self.thresholds)

    @property
    def templates(self) -> list[str]:
        """The prompt templates; none if class embeddings are given, which contain their prompts."""
        return [] if self._given_classes is not None else [template.text for template in self._templates]

    @cached_property
    def classes(self) -> ClassEmbeddings:
        """The class embeddings of all labels."""
        if self._given_classes is not None:
            classes = self.for_tags(self._checked(self._given_classes))
        else:
            classes = self.embed_labels(self._templates)
        if self._calibration is not False:
            from clipcli.outputs.calibration_files import calibration_for

            self.calibration = calibration_for(classes, self.score_of(classes), self._calibration, self._given_classes)
        return classes if (fitted := self.__dict__.get("calibration")) is None else fitted.with_thresholds(classes)

    def score_of(self, classes: ClassEmbeddings) -> str | None:
        """Return the kind of score of tags for some classes; ``None`` for one label per image."""
        return None if self._tags is None else self._tags.tagging(classes).score

    @cached_property
    def calibration(self) -> FittedCalibration | None:
        """The calibration of the probabilities, if there is one."""
        _ = self.classes  # for which it is read
        return self.__dict__.get("calibration")

    @cached_property
    def tagging(self) -> Tagging | None:
        """How several labels of an image are chosen; ``None`` for one label per image."""
        given = self._tags.tagging(self.classes) if self._tags is not None else None
        return given if given is not None or self.calibration is None else self.calibration.tagging

    def embed_labels(self, templates: Sequence[Template]) -> ClassEmbeddings:
        """Compute the class embeddings of the labels with other templates, or read them from the cache."""
        return self.for_tags(self.embed_words(templates))

    def embed_words(self, templates: Sequence[Template]) -> ClassEmbeddings:
        """Compute the class embeddings without what labels are compared with as tags, as classes files hold them."""
        classes, self.text_statistics = build_class_embeddings(
            self._labels, templates, self.source, self._store, self._engine.text_key, self._open_text_encoder
        )
        return classes

    def for_tags(self, classes: ClassEmbeddings) -> ClassEmbeddings:
        """Return classes with what labels are compared with as tags, if they need it."""
        if self._tags is None:
            return classes
        from_cache = self.source, self._store, self._engine.text_key, self._open_text_encoder
        return self._tags.prepared(classes, lambda phrases: embed_competitors(phrases, *from_cache))

    @property
    def class_embeddings(self) -> NDArray[np.float32]:
        """(C, D) float32, one row of length one per label."""
        return self.classes.vectors

    def _checked(self, given: ClassEmbeddings | Path) -> ClassEmbeddings:
        from clipcli.outputs.class_embeddings import load_for_model

        return load_for_model(given, self.source.fingerprint(self._store.file_sha256), self.source.title)

    def _open_text_encoder(self) -> tuple[ModelFacts, Encode]:
        encoder = self._backend.text_encoder()  # first: its graph has the scale, for which torch would be imported
        return self.facts(), telling_cut(encoder, self.source.title)

    def classify(self, images: Iterable[ImageLike] | ImageLike, *, even_batches: bool = False) -> Iterator[Result]:
        """Classify images and yield one result per image, in order.

        Parameters
        ----------
        images
            Paths of files, folders or tar archives, Pillow images, or :class:`~clipcli.ImageEmbeddings`.
        even_batches
            Fill the last batch of a run, so that the last digits of an image's scores do not depend on the other
            images.

        Yields
        ------
        Prediction or Failure
            A file that cannot be read as an image yields a :class:`Failure`, and the run continues.

        Raises
        ------
        InputError
            If a folder holds no images.
        """
        self.warn_of_single_label()  # first, so that an error in the labels is raised before an image is read
        for block in self.embed(images, even_batches=even_batches):
            yield from self.ranker(self.given.precision_in(block)).results(block)

    def warn_of_single_label(self) -> None:
        """Warn once of a single label, whose softmax is 1, and of labels in a language that the model cannot read."""
        if not self._warned:
            self._warned = True
            if self._tags is None or self._tags.score == "softmax":
                warn_of_single_label(self.classes)
            warn_of_language(self.classes, self.source)
            warn_of_unknown(self.classes)

    def ranker(self, precision: str | None = None) -> Ranker:
        """Return the ranker, which turns embeddings into results, for this or another precision."""
        self.warn_of_single_label()
        made_by = (self.source.name, self.source.pretrained, precision or self.precision)
        correction = None if self.calibration is None else self.calibration.correction
        return Ranker(self.classes, self.top_k, self._limits, *made_by, self.tagging, correction, self._level)
