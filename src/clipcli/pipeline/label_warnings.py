"""Warnings about labels whose scores mislead."""

from __future__ import annotations

from clipcli.log import LOG
from clipcli.pipeline.class_embeddings import ClassEmbeddings

__all__ = ["warn_of_single_label"]


def warn_of_single_label(classes: ClassEmbeddings) -> bool:
    """Warn if there is a single label, whose softmax is 1 for any image, and return whether there is."""
    is_single = len(classes.labels) == 1 and classes.facts.logit_bias is None
    if is_single:
        LOG.warning(
            f"{classes.labels[0]!r} is the only label: without a second label to compare with, its "
            "probability is always 1 (add other labels, or judge by the similarity)"
        )
    return is_single
