"""The Hugging Face hub: find files on disk, and download missing ones.

Uses the hub client's own cache folder (``HF_HOME``), shared with other tools, so weights that are on
this machine already are never fetched again. A file found there is used without asking the network.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from clipcli.errors import HubUnreachableError, ModelError, ModelNotFoundError
from clipcli.storage.network_policy import is_forbidden

__all__ = [
    "WEIGHT_NAMES",
    "cached_file",
    "delete_repository",
    "fetch_file",
    "network_forbidden",
    "offline_reason",
    "quiet_hub",
    "reachable",
    "weight_candidates",
]

WEIGHT_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""The names open_clip looks for in a hub repository, in its order."""

REACH_SECONDS = 4.0
_USUAL_NAME = re.compile(r"[a-zA-Z0-9]+([._-][a-zA-Z0-9]+)*/[a-zA-Z0-9]+([._-][a-zA-Z0-9]+)*")
WAYS_OUT = (
    "use --model pocket (built in), a local checkpoint (--pretrained FILE or --model local-dir:DIR), "
    "or run 'clipcli models download' where there is a network"
)


@contextmanager
def network_forbidden() -> Iterator[None]:
    """Make the hub client, and transformers on top of it, work from disk only until the block ends."""
    from huggingface_hub import constants

    variables = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    before = {name: os.environ[name] for name in variables if name in os.environ}
    client_before = constants.HF_HUB_OFFLINE
    os.environ.update(dict.fromkeys(variables, "1"))
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = client_before
        for name in variables:
            del os.environ[name]
        os.environ.update(before)


def offline_reason(offline: bool) -> str:
    """Return why the hub must not be used; empty if it may be used."""
    from huggingface_hub import constants

    return (
        "--offline is set" if offline or is_forbidden() else "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else ""
    )


def weight_candidates(location: str) -> tuple[str, list[str]]:
    """Split open_clip's ``org/repo/[file]`` into the repository and the weight files to try, best first."""
    repository, _, filename = location.rpartition("/")
    if not filename:
        return repository, list(WEIGHT_NAMES)
    stem, _, suffix = filename.rpartition(".")
    return repository, [f"{stem}.safetensors", filename] if suffix in ("bin", "pth") else [filename]


def cached_file(repository: str, filename: str) -> Path | None:
    """Return a file of a hub repository if it is on disk; never opens a socket."""
    from huggingface_hub import constants

    name = f"models{constants.REPO_ID_SEPARATOR}{repository.replace('/', constants.REPO_ID_SEPARATOR)}"
    if _USUAL_NAME.fullmatch(repository) and not (Path(constants.HF_HUB_CACHE) / name).is_dir():
        return None  # without the client, whose import takes longer than to encode an image
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        path = try_to_load_from_cache(repository, filename)
    except HFValidationError:
        raise ModelNotFoundError(f"{repository!r} is not a hub repository (write hf-hub:organisation/name)") from None
    return Path(path) if isinstance(path, str) else None


def reachable(repository: str, filename: str, seconds: float = REACH_SECONDS) -> bool:
    """Return whether the hub answers for a file within a few seconds, even if it refuses access.

    It is the file that is asked for, because a hub in trouble may still show its front page, and the
    client then tries again for minutes.
    """
    if is_forbidden() or not _connects(seconds):
        return False
    from huggingface_hub import get_session, hf_hub_url

    url = hf_hub_url(repository, filename)
    return _succeeds(lambda: bool(get_session().head(url, timeout=seconds).status_code < 500), seconds)


def _connects(seconds: float) -> bool:
    """Return whether the hub's host accepts a connection; true without a try where there may be a proxy.

    Without a network, this saves the import of the hub's client, which takes longer than to classify an image.
    """
    import socket
    from urllib.parse import urlsplit

    from huggingface_hub import constants

    if sys.platform != "linux" or any(name.lower().endswith("_proxy") for name in os.environ):
        return True  # the settings of other systems can name a proxy too
    parts = urlsplit(constants.ENDPOINT)
    place = (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))

    def connect() -> bool:
        socket.create_connection(place, timeout=seconds).close()
        return True

    return _succeeds(connect, seconds)


def _succeeds(ask: Callable[[], bool], seconds: float) -> bool:
    """Ask on a thread, because looking up a name can hang for longer than any timeout one can set."""
    done, answered = threading.Event(), threading.Event()

    def run() -> None:
        try:
            if ask():
                answered.set()
        except Exception:  # noqa: BLE001, S110 - whatever went wrong, the hub cannot be reached
            pass
        finally:
            done.set()

    threading.Thread(target=run, daemon=True).start()
    done.wait(seconds + 1.0)
    return answered.is_set()


def delete_repository(repository: str, *, confirm: Callable[[Path, int], bool]) -> bool:
    """Delete the files of a repository from the hub client's cache folder.

    Parameters
    ----------
    confirm
        Called with the folder and its size in bytes; nothing is deleted unless it returns ``True``.

    Returns
    -------
    Whether it was deleted.

    Raises
    ------
    ModelNotFoundError
        If it is not on disk.
    ModelError
        If its folder is not in the cache folder, as behind a link, or cannot be deleted.
    """
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    root = Path(constants.HF_HUB_CACHE)
    try:
        cache = scan_cache_dir(root)
    except CacheNotFound:
        raise ModelNotFoundError(f"cannot delete {repository}: it is not on this machine") from None
    found = [each for each in cache.repos if each.repo_id == repository and each.repo_type == "model"]
    if not found:
        raise ModelNotFoundError(f"cannot delete {repository}: it is not on this machine")
    folder = found[0].repo_path
    if folder.is_symlink() or folder.resolve().parent != root.resolve():
        raise ModelError(f"cannot delete {repository}: its folder {folder} is not in the cache folder of the hub")
    if not confirm(folder, found[0].size_on_disk):
        return False
    only = replace(cache, repos=frozenset(found))  # copies of a repository have the same revisions
    only.delete_revisions(*(revision.commit_hash for revision in found[0].revisions)).execute()
    if folder.exists():
        raise ModelError(f"cannot delete {repository}: files are left in {folder}")
    return True


@contextmanager
def quiet_hub(*, quiet: bool) -> Iterator[None]:
    """Silence the client's progress bars if stderr is not a terminal."""
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    if quiet or not sys.stderr.isatty():
        disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def fetch_file(repository: str, filenames: list[str], *, offline: bool, what: str) -> Path:
    """Return the first of some files that a repository has, from disk or from the hub.

    Parameters
    ----------
    repository
        ``organisation/name``.
    filenames
        Names to try, best first.
    offline
        Look on disk only.
    what
        What the user asked for, to be named in errors.

    Raises
    ------
    HubUnreachableError
        If it is not on disk and the hub does not answer, or must not be asked.
    ModelNotFoundError
        If the hub has no such repository or none of the files.
    """
    for filename in filenames:
        path = cached_file(repository, filename)
        if path is not None:
            return path
    reason = offline_reason(offline)
    if not reason and not reachable(repository, filenames[0]):
        reason = "the hub does not answer"
    if reason:
        raise HubUnreachableError(f"{what}: weights are not on this machine and {reason}; {WAYS_OUT}")
    return _download(repository, filenames, what)


def _download(repository: str, filenames: list[str], what: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

    for filename in filenames:
        try:
            return Path(hf_hub_download(repository, filename))
        except GatedRepoError:
            raise ModelError(
                f"{what}: {repository} asks for a login; accept its terms on the hub and set HF_TOKEN"
            ) from None
        except RepositoryNotFoundError:
            raise ModelNotFoundError(f"{what}: the hub has no repository {repository}") from None
        except EntryNotFoundError:
            continue
        except Exception as problem:
            first_line = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
            raise HubUnreachableError(f"{what}: download failed ({first_line}); {WAYS_OUT}") from problem
    raise ModelNotFoundError(f"{what}: {repository} has none of {', '.join(filenames)}")
