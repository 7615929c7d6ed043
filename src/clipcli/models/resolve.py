"""Resolve a model's name to its files, without importing torch.

Everything that decides which embeddings a model yields is settled here: architecture, weights file,
activation (QuickGELU or GELU), preprocessing and tokenizer.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from clipcli.errors import CheckpointError, HubUnreachableError, ModelError, ModelNotFoundError
from clipcli.log import LOG
from clipcli.models import registry
from clipcli.models.config import read_model_config
from clipcli.models.hub import WEIGHT_NAMES, cached_file, fetch_file, offline_reason, reachable, weight_candidates
from clipcli.models.source import CONFIG_NAME, ModelSource, hub_tokenizer_name
from clipcli.models.unknown_names import unknown_model, unknown_tag
from clipcli.schemes import is_remote

__all__ = [
    "AUTO_MODEL",
    "AUTO_PRETRAINED",
    "AUTO_WEIGHTS",
    "POCKET_FOLDER",
    "TINY_FOLDER",
    "is_on_disk",
    "place_of",
    "repository_of",
    "resolve_model",
    "untrained_model",
]

AUTO_MODEL, AUTO_PRETRAINED = "ViT-B-32-256", "datacomp_s34b_b86k"
AUTO_WEIGHTS = "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K/"
"""Where open_clip's table has them; the table itself takes longer to import than ``pocket`` takes to answer."""
POCKET_FOLDER = Path(__file__).resolve().parent / "pocket"
TINY_FOLDER = POCKET_FOLDER.parent / "tiny"

_LOCAL, _HUB = "local-dir:", "hf-hub:"


def resolve_model(name: str, pretrained: str | None = None, *, offline: bool = False) -> ModelSource:
    """Find the files of a model, fetching them from the hub where they are not on disk.

    Parameters
    ----------
    name
        ``auto``, ``pocket``, an open_clip name, ``hf-hub:org/repo``, ``local-dir:PATH``, or the path of
        such a folder.
    pretrained
        For an open_clip name only: a tag (``openai``) or a checkpoint file.
    offline
        Never open a socket.

    Raises
    ------
    ModelNotFoundError, HubUnreachableError, CheckpointError, ModelError
    """
    if is_remote(name):
        raise ModelNotFoundError(f"cannot load {name}: a URL is not a model name (download it, and use local-dir:DIR)")
    folder = _folder_named(name)
    if pretrained and (name in ("auto", "pocket") or name.startswith(_HUB) or folder is not None):
        raise ModelError(f"cannot use --pretrained with --model {name}: it needs an open_clip model name")
    if name == "auto":
        return _resolve_auto(offline)
    if name == "pocket":
        return _from_folder(POCKET_FOLDER, "pocket")
    if name.startswith(_HUB):
        return _from_hub(name, offline)
    if folder is not None:
        return _from_folder(folder, name if name.startswith(_LOCAL) else f"{_LOCAL}{name}")
    architecture = name.replace("/", "-")  # as OpenAI spells them: ViT-B/32
    if architecture not in registry.architecture_names():
        raise unknown_model(name, registry.architecture_names())
    return _from_catalogue(architecture, pretrained, offline)


def untrained_model(name: str, *, offline: bool = False) -> ModelSource:
    """Find the files of an architecture except its weights, to train it from scratch.

    Parameters
    ----------
    name
        ``tiny``, an open_clip name, or a folder with an ``open_clip_config.json``.
    offline
        Never open a socket, not even for a tokenizer.

    Raises
    ------
    ModelNotFoundError, HubUnreachableError, CheckpointError
    """
    folder = TINY_FOLDER if name == "tiny" else Path(name.removeprefix(_LOCAL))
    if name == "tiny" or (name not in registry.architecture_names() and folder.is_dir()):
        config = read_model_config(folder / CONFIG_NAME)
        model, preprocess, architecture = config["model_cfg"], config.get("preprocess_cfg", {}), f"{_LOCAL}{folder}"
    else:
        model, preprocess, architecture = registry.architecture(name), registry.usual_preprocess(name), name
        folder = Path()
    has_tokenizer = bool(hub_tokenizer_name(model)) and (folder / "tokenizer.json").is_file()
    return ModelSource(
        name=name, pretrained=None, architecture=architecture, config=model, preprocess=preprocess,
        checkpoint=folder / CONFIG_NAME, quick_gelu=bool(model.get("quick_gelu")),
        tokenizer_folder=folder if has_tokenizer else _hub_tokenizer(model, name, offline),
    )  # fmt: skip


def _folder_named(name: str) -> Path | None:
    """Return the folder that ``local-dir:PATH``, or the path alone, means; ``None`` for any other name."""
    if name.startswith(_LOCAL):
        return Path(name[len(_LOCAL) :]).expanduser()
    known = name in ("auto", "pocket") or name.startswith(_HUB) or name in registry.architecture_names()
    return Path(name) if name and not known and Path(name).is_dir() else None


def is_on_disk(name: str, tag: str) -> bool:
    """Return whether the weights of a registry entry are in the hub client's cache."""
    repository, filenames = weight_candidates(registry.pretrained_tags(name)[tag].get("hf_hub", ""))
    return bool(repository) and any(cached_file(repository, filename) for filename in filenames)


def place_of(name: str, tag: str) -> str:
    """Return where the weights of a listed model are: ``built in``, ``on disk``, or empty."""
    if name == "pocket":
        return "built in"
    if name.startswith(_HUB):
        return "on disk" if any(cached_file(name[len(_HUB) :], each) for each in WEIGHT_NAMES) else ""
    return "on disk" if tag in registry.pretrained_tags(name) and is_on_disk(name, tag) else ""


def repository_of(name: str, pretrained: str | None = None) -> str:
    """Return the hub repository of a model that can be downloaded.

    Raises
    ------
    ModelNotFoundError, ModelError
        If there is no such model or tag, or its weights are not on the hub.
    """
    if name.startswith(_HUB):
        return name[len(_HUB) :]
    if name in ("auto", "pocket") or _folder_named(name) is not None:
        raise ModelError(f"cannot delete {name}: it is not in the cache folder of the hub (name a downloaded model)")
    tags = registry.pretrained_tags(name) if registry.architecture(name) else {}
    tag = pretrained or registry.usual_tag(name)
    if tag not in tags:
        raise unknown_tag(name, tag, tags)
    repository, _ = weight_candidates(tags[tag].get("hf_hub", ""))
    if not repository:
        raise ModelError(f"cannot delete {name} {tag}: its weights are not on the hub")
    return repository


def _resolve_auto(offline: bool) -> ModelSource:
    forbidden = offline_reason(offline)
    reason = forbidden or "the hub does not answer"
    repository, filenames = weight_candidates(AUTO_WEIGHTS)
    on_disk = any(cached_file(repository, filename) for filename in filenames)
    if on_disk or (not forbidden and reachable(repository, filenames[0], 3.0)):
        try:
            return _from_catalogue(AUTO_MODEL, AUTO_PRETRAINED, offline)
        except (HubUnreachableError, ModelNotFoundError):
            reason = "it could not be downloaded"
    LOG.warning(
        f"using the small built-in model 'pocket': {AUTO_MODEL} is not on this machine and {reason}. pocket is weak at "
        "feelings, written text, counts, drawings and fine differences, and reads English only; 'clipcli models "
        f"download {AUTO_MODEL}' on a machine with a network gets a better model, --model pocket silences this"
    )
    return _from_folder(POCKET_FOLDER, "pocket")


def _from_folder(folder: Path, name: str) -> ModelSource:
    config_path = folder / CONFIG_NAME
    if not folder.is_dir():
        raise ModelNotFoundError(f"{name}: no such folder")
    config = read_model_config(config_path)
    checkpoint = _weights_in(folder)
    if checkpoint is None:
        raise CheckpointError(f"{folder}: no weights in it ({WEIGHT_NAMES[0]})")
    location = f"{_LOCAL}{folder}"
    return ModelSource(
        name=name, pretrained=None, architecture=location, config=config["model_cfg"],
        preprocess=config.get("preprocess_cfg", {}), checkpoint=checkpoint,
        tokenizer_folder=folder if hub_tokenizer_name(config["model_cfg"]) else None,
        graphs=folder / "graphs" if folder == POCKET_FOLDER else None,
    )  # fmt: skip


def _weights_in(folder: Path) -> Path | None:
    """Choose the weights of a folder: the names open_clip prefers, then the only other candidate."""
    for name in (
        *WEIGHT_NAMES,
        "open_clip_pytorch_model.safetensors",
        "model.safetensors",
        "pytorch_model.bin",
    ):
        if (folder / name).is_file():
            return folder / name
    others = sorted(path for pattern in ("*.safetensors", "*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    if len(others) > 1:
        raise CheckpointError(f"{folder}: several weights files; name the right one {WEIGHT_NAMES[0]}")
    return others[0] if others else None


def _from_hub(name: str, offline: bool) -> ModelSource:
    repository = name[len(_HUB) :]
    config_path = fetch_file(repository, [CONFIG_NAME], offline=offline, what=name)
    config = read_model_config(config_path)
    checkpoint = fetch_file(repository, list(WEIGHT_NAMES), offline=offline, what=name)
    folder = _hub_tokenizer(config["model_cfg"], name, offline)
    return ModelSource(
        name=name, pretrained=None, architecture=f"{_LOCAL}{config_path.parent}", config=config["model_cfg"],
        preprocess=config.get("preprocess_cfg", {}), checkpoint=checkpoint, tokenizer_folder=folder,
    )  # fmt: skip


def _hub_tokenizer(config: dict[str, Any], what: str, offline: bool) -> Path | None:
    """Fetch the tokenizer that a config names and return its folder; ``None`` for the built-in one."""
    repository = hub_tokenizer_name(config)
    if not repository:
        return None
    what = f"{what} (its tokenizer)"
    # The part that every tokenizer has comes last: where it is on disk, so are the others that there are.
    if cached_file(repository, "tokenizer.json") is None:
        for optional in ("tokenizer_config.json", "special_tokens_map.json"):
            with suppress(ModelNotFoundError):
                fetch_file(repository, [optional], offline=offline, what=what)
    return fetch_file(repository, ["tokenizer.json"], offline=offline, what=what).parent


def _from_catalogue(name: str, pretrained: str | None, offline: bool) -> ModelSource:
    config = registry.architecture(name)
    tags = registry.pretrained_tags(name)
    if pretrained is None:
        pretrained = registry.usual_tag(name)
    if pretrained in tags or pretrained.lower().replace("-", "_") in tags:
        tag = pretrained if pretrained in tags else pretrained.lower().replace("-", "_")
        return _from_tag(name, config, tag, tags[tag], offline)
    if Path(pretrained).is_file():
        return _from_file(name, config, Path(pretrained), offline)
    if Path(pretrained).suffix or "/" in pretrained:
        raise CheckpointError(f"{pretrained}: no such checkpoint file")
    raise unknown_tag(name, pretrained, tags)


def _from_tag(name: str, config: dict[str, Any], tag: str, entry: dict[str, Any], offline: bool) -> ModelSource:
    what = f"{name} {tag}"
    repository, filenames = weight_candidates(entry.get("hf_hub", ""))
    if not repository:
        raise ModelError(
            f"{what}: these weights are not on the hub; fetch {entry.get('url')} and use --pretrained FILE"
        )
    checkpoint = fetch_file(repository, filenames, offline=offline, what=what)
    folder = _hub_tokenizer(config, what, offline)
    return ModelSource(
        name=name, pretrained=tag, architecture=name, config=config, preprocess=registry.preprocess_of(entry),
        checkpoint=checkpoint, tokenizer_folder=folder,
        quick_gelu=bool(entry.get("quick_gelu")) or bool(config.get("quick_gelu")),
    )  # fmt: skip


def _is_openai(path: Path) -> bool:
    from clipcli.models.weight_kinds import looks_like_openai  # its readers of archives and pickles

    return looks_like_openai(path)


def _from_file(name: str, config: dict[str, Any], path: Path, offline: bool) -> ModelSource:
    """Use a checkpoint file, with its training settings as far as the folder and the file contain them."""
    preprocess = registry.usual_preprocess(name)
    quick_gelu = bool(config.get("quick_gelu"))
    notes: tuple[str, ...] = ()
    if (path.parent / CONFIG_NAME).is_file():
        beside = read_model_config(path.parent / CONFIG_NAME)
        preprocess = {**preprocess, **beside.get("preprocess_cfg", {})}
        quick_gelu = quick_gelu or bool(beside["model_cfg"].get("quick_gelu"))
    elif not quick_gelu and "timm_model_name" not in config["vision_cfg"] and _is_openai(path):
        quick_gelu = True
        notes = (f"{path.name} holds OpenAI's weights, which need QuickGELU: using {name} with QuickGELU",)
    if hub_tokenizer_name(config) and (path.parent / "tokenizer.json").is_file():
        folder: Path | None = path.parent
    else:
        folder = _hub_tokenizer(config, f"{name} {path.name}", offline)
    return ModelSource(
        name=name, pretrained=str(path), architecture=name, config=config, preprocess=preprocess, checkpoint=path,
        tokenizer_folder=folder, quick_gelu=quick_gelu, notes=notes,
    )  # fmt: skip
