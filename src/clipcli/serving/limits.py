"""What one request, and all requests together, may use."""

from __future__ import annotations

from dataclasses import dataclass

from clipcli.images.limits import MAX_PIXELS

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """The limits of a server.

    Parameters
    ----------
    request_bytes
        Size of a request's body.
    held_bytes
        Size of the bodies of all requests that are being received or answered.
    images
        Images per request.
    queue
        Images of all requests that are not answered yet.
    labels
        Labels per request, each with its synonyms and prompts.
    texts
        Texts to embed per request.
    kept_labels
        Labels whose class embeddings stay in memory, in all sets; the least recently used set is dropped first.
    kept
        Embeddings of images that stay in memory per model, for requests that name them.
    kept_seconds
        How long they stay after their last use.
    head_seconds, body_seconds, answer_seconds
        How long the head and the body of a request may take to arrive, and how long it may take to answer it.
    """

    request_bytes: int = 64 << 20
    held_bytes: int = 512 << 20
    images: int = 64
    queue: int = 512
    labels: int = 10_000
    texts: int = 1000
    kept_labels: int = 100_000
    kept: int = 10_000
    kept_seconds: float = 15 * 60.0
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    answer_seconds: float = 60.0

    @property
    def as_json(self) -> dict[str, int]:
        """The limits that clients can read."""
        return {
            "request_bytes": self.request_bytes, "images": self.images, "labels": self.labels, "texts": self.texts,
            "pixels": MAX_PIXELS,
        }  # fmt: skip
