r"""Every error that clipcli raises on purpose, and the exit code each one ends with.

::

    ClipcliError                  2   something the user can put right; the message says how
    ├── LabelError                2   a label file or --label that cannot be used
    ├── TemplateError             2   a prompt template or template set that cannot be used
    ├── ModelError                2   a model, device or precision that cannot be used
    │   ├── ModelNotFoundError    2   no model or weights of that name
    │   ├── HubUnreachableError   2   weights are not on disk and the hub does not answer
    │   └── CheckpointError       2   weights that are damaged, unsafe or of another architecture
    ├── EmbeddingFileError        2   an exported embeddings file that cannot be read or does not fit
    ├── InputError                2   nothing to work on: no inputs, or a folder without images
    ├── OutputError               2   the output cannot be written
    ├── CacheError                2   `clipcli cache` cannot do what was asked
    ├── ClusterError              2   Ray cannot be started or reached, or gave up
    ├── Interrupted       128+signal  stopped by Ctrl-C (130), SIGTERM (143) or SIGHUP (129); says what is kept
    ├── StorageError              2   an object store or web server refused or failed; callers say of what
    └── ImageError                1   one input that is no readable image; recorded, the run goes on

Exit code 0 means all done, 1 means done but some inputs failed, 128 + signal means interrupted (130 by Ctrl-C).
"""

from __future__ import annotations

from clipcli.redaction import redacted

__all__ = [
    "CacheError",
    "CheckpointError",
    "ClipcliError",
    "ClusterError",
    "EmbeddingFileError",
    "HubUnreachableError",
    "ImageError",
    "InputError",
    "Interrupted",
    "LabelError",
    "ModelError",
    "ModelNotFoundError",
    "OutputError",
    "StorageError",
    "TemplateError",
]


class ClipcliError(Exception):
    """Base of all errors that a user can put right; the text is one line for people.

    URLs in the text lose their secrets here, so that no message has to remember that.
    """

    exit_code = 2

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(redacted(each) if isinstance(each, str) else each for each in arguments))


class LabelError(ClipcliError):
    """A label file or ``--label`` cannot be used."""


class TemplateError(ClipcliError):
    """A prompt template, or a set of them, cannot be used."""


class ModelError(ClipcliError):
    """A model, device or precision cannot be used."""


class ModelNotFoundError(ModelError):
    """There is no model or pretrained tag of that name."""


class HubUnreachableError(ModelError):
    """The weights are not on disk and the hub cannot be asked for them."""


class CheckpointError(ModelError):
    """A weights file is damaged, would run code when loaded, or belongs to another architecture."""


class EmbeddingFileError(ClipcliError):
    """A file of exported text embeddings cannot be read, or was made by another model."""


class InputError(ClipcliError):
    """There is nothing to work on."""


class OutputError(ClipcliError):
    """The output cannot be written."""


class CacheError(ClipcliError):
    """A ``clipcli cache`` command cannot do what was asked."""


class ClusterError(ClipcliError):
    """Ray cannot be started or reached, or gave up in mid-run."""


class Interrupted(ClipcliError):  # noqa: N818 - no error of anybody's
    """The user stopped the run; what was done is kept."""

    exit_code = 130  # of Ctrl-C; the command line exits with 128 + the signal


class StorageError(ClipcliError):
    """An object store or web server did not do what it was asked to do.

    Parameters
    ----------
    kind
        ``not_found``, ``no_bucket``, ``denied``, ``empty`` or ``failed``.
    reason
        What went wrong, without what was asked for.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, str]]:
        """Let it travel between processes with both of its parts."""
        return type(self), (self.kind, str(self))


class ImageError(ClipcliError):
    """One input is no readable image; it becomes a failure record and the run goes on.

    Parameters
    ----------
    kind
        Machine-readable reason, the ``error.type`` of the record: ``not_found``, ``unreadable``,
        ``empty``, ``not_an_image``, ``truncated``, ``too_large``, ``unsupported`` or ``not_a_file``.
    message
        One line for people, without the path.
    """

    exit_code = 1

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        """Let it travel between processes with both of its parts."""
        return type(self), (self.kind, str(self))
