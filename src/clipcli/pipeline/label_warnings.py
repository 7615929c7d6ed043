"""Warnings about labels whose scores mislead."""

from __future__ import annotations

from unicodedata import name

from clipcli.labels.several import label_key
from clipcli.log import LOG
from clipcli.models.languages import reads_other_languages
from clipcli.models.source import ModelSource
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.scoring.thresholds import UNKNOWN

__all__ = ["warn_of_language", "warn_of_single_label", "warn_of_unknown"]

_SHARE = 0.3  # of labels with letters outside ASCII; fewer may be names, such as crème brûlée


def warn_of_language(classes: ClassEmbeddings, source: ModelSource) -> None:
    """Warn if the prompts of labels look like another language than English, and the model reads English only.

    Other scripts are recognised by their letters, languages in the Latin script by accents in many labels.
    """
    if reads_other_languages(source.name, source.config["text_cfg"]):
        return
    pairs = list(zip(classes.labels, classes.prompts, strict=True))
    foreign = [label for label, prompts in pairs if prompts and all(map(_has_other_letters, prompts))]
    others = [
        label for label in foreign if any(each.isalpha() and "LATIN" not in name(each, "LATIN") for each in label)
    ]
    if others or len(foreign) > _SHARE * len(pairs):
        LOG.warning(
            f"labels such as {(others or foreign)[0]!r} do not look English, and {source.title} most likely reads "
            "English only (translate them, or choose a model for other languages: clipcli models list languages)"
        )


def _has_other_letters(text: str) -> bool:
    return any(each.isalpha() and not each.isascii() for each in text)


def warn_of_unknown(classes: ClassEmbeddings) -> None:
    """Warn of a label that reads like the answer for an image without a label."""
    if label := next((label for label in classes.labels if label_key(label) == UNKNOWN), None):
        LOG.warning(
            f"{label!r} is a label, and also the answer for an image that no label fits: in results, in sort "
            "and in evaluate, the two are the same (rename the label)"
        )


def warn_of_single_label(classes: ClassEmbeddings) -> None:
    """Warn if there is a single label, whose softmax is 1 for any image."""
    if len(classes.labels) == 1 and classes.facts.logit_bias is None:
        LOG.warning(
            f"{classes.labels[0]!r} is the only label: without a second label to compare with, its "
            "probability is always 1 (add other labels, or judge by the similarity)"
        )
