r"""The errors that clipcli raises, and their exit codes.

::

    ClipcliError                  2   an error that the user can fix; the message names the remedy
    ├── LabelError                2   a label file or --label that cannot be used
    ├── TemplateError             2   a prompt template or template set that cannot be used
    ├── ModelError                2   a model, device or precision that cannot be used
    │   ├── ModelNotFoundError    2   no model or weights of that name
    │   ├── HubUnreachableError   2   weights are not on disk and the hub does not answer
    │   └── CheckpointError       2   weights that are damaged, unsafe or of another architecture
    ├── EmbeddingFileError        2   an exported embeddings file that cannot be read or does not fit
    ├── InputError                2   nothing to work on: no inputs, or a folder without images
    ├── OutputError               2   the output cannot be written
    ├── CacheError                2   the cache cannot be read, checked or cleared
    ├── ClusterError              2   Ray cannot be started or reached, or failed
    ├── ServerError               2   the server of --server is gone, or does not answer as expected
    ├── Interrupted       128+signal  stopped by Ctrl-C (130), SIGTERM (143) or SIGHUP (129); names what was saved
    ├── StorageError              2   an object store or web server refused or failed; the caller names the operation
    └── ImageError                1   one input that cannot be read as an image; the run continues

Exit code 0 means success, 1 that some inputs failed, 128 + signal that the run was interrupted (130 by Ctrl-C).
"""

from __future__ import annotations

from clipcli.message_names import named_for_caller
from clipcli.redaction import redacted

__all__ = [
    "CacheError",
    "CalibrationError",
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
    "ServerError",
    "StorageError",
    "TemplateError",
]


class ClipcliError(Exception):
    """Base of all errors that a user can fix; the text is one line for people.

    Secrets in URLs are removed from the text here, and options become parameters if the caller is a Python program, so
    that no message has to do it.
    """

    exit_code = 2

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(named_for_caller(redacted(each)) if isinstance(each, str) else each for each in arguments))


class LabelError(ClipcliError):
    """A label file or ``--label`` cannot be used."""


class TemplateError(ClipcliError):
    """A prompt template, or a set of them, cannot be used."""


class ModelError(ClipcliError):
    """A model, device or precision cannot be used."""


class ModelNotFoundError(ModelError):
    """There is no model or pretrained tag of that name."""


class HubUnreachableError(ModelError):
    """The weights are not on disk and the hub cannot be reached."""


class CheckpointError(ModelError):
    """A weights file is damaged, would run code when loaded, or belongs to another architecture."""


class EmbeddingFileError(ClipcliError):
    """A file of exported text embeddings cannot be read, or was made by another model."""


class CalibrationError(ClipcliError):
    """A calibration file cannot be read, or belongs to other labels or another model."""


class InputError(ClipcliError):
    """The inputs are missing or invalid."""


class OutputError(ClipcliError):
    """The output cannot be written."""


class CacheError(ClipcliError):
    """The cache cannot be read, checked or cleared."""


class ClusterError(ClipcliError):
    """Ray cannot be started or reached, or failed during the run."""


class ServerError(ClipcliError):
    """The server of ``--server`` cannot be reached, or refused a request."""


class Interrupted(ClipcliError):  # noqa: N818 - an interruption is not an error
    """The user interrupted the run; finished work is saved."""

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
        """Pickle both parts."""
        return type(self), (self.kind, str(self))


class ImageError(ClipcliError):
    """One input cannot be read as an image; it becomes an error record, and the run continues.

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
        """Pickle both parts."""
        return type(self), (self.kind, str(self))
