"""The files that are damaged, and the commands that read them."""

from __future__ import annotations

from dataclasses import dataclass

from tools.fuzz.damage import Damage, damage_bytes
from tools.fuzz.templates import ANSWER
from tools.fuzz.text_damage import damage_json, damage_lines, damage_text

__all__ = ["FileKind", "file_kinds"]


@dataclass(frozen=True)
class FileKind:
    """One file that is damaged in each case.

    Attributes
    ----------
    name
        As findings call it.
    file
        Its path in the folder of the case; a pattern for the first that matches.
    damage
        How it is damaged.
    commands
        Command lines that read it, in this order; ``< FILE`` at the end is what stdin reads.
    needs
        Which other files and folders of the template the commands need, beside the photographs and the cache.
    before
        Command lines to run before the damage.
    """

    name: str
    file: str
    damage: Damage
    commands: tuple[str, ...]
    needs: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


_TRAIN = "--from-scratch model --epochs 1 --batch-size 4 --workers 0 -q --validation 0"


def _labels() -> list[FileKind]:
    forms = {"labels.txt": damage_text, "labels.csv": damage_text, "labels.tsv": damage_text}
    forms |= {"labels.json": damage_json, "list.json": damage_json}
    lines = "classify photos -m pocket -L {0} -f jsonl", "export text -m pocket -L {0} -o e.npz"
    kinds = [FileKind(name, name, how, tuple(line.format(name) for line in lines)) for name, how in forms.items()]
    prompts = (f"classify photos {ANSWER} -p prompts.txt", "prompts show ./prompts.txt")
    return [*kinds, FileKind("prompts.txt", "prompts.txt", damage_text, prompts)]


def _inputs() -> list[FileKind]:
    kinds = [
        FileKind(name, name, how, (f"classify {name} --path-column path {ANSWER} -f csv --offline",))
        for name, how in (("paths.csv", damage_text), ("paths.tsv", damage_text), ("paths.jsonl", damage_json))
    ]
    ignored = (f"classify photos {ANSWER} -f tsv", f"matrix photos -m pocket -x cat -x {'x' * 40}")
    truth = "evaluate {0} -m pocket -L labels.txt --json figures.json --offline"
    return [
        *kinds,
        FileKind("paths.txt", "paths.txt", damage_text, (f"classify - {ANSWER} -f json --offline < paths.txt",)),
        FileKind("paths.nul", "paths.nul", damage_text, (f"classify - -0 {ANSWER} --offline < paths.nul",)),
        FileKind("ignore", "photos/.clipcliignore", damage_text, ignored),
        FileKind("shard.tar", "shard.tar", damage_bytes, (f"classify shard.tar {ANSWER} -f jsonl",)),
        FileKind("truth.csv", "truth.csv", damage_text, (truth.format("truth.csv"),), ("labels.txt",)),
        FileKind("truth.tsv", "truth.tsv", damage_text, (truth.format("truth.tsv"),), ("labels.txt",)),
    ]


def _results() -> list[FileKind]:
    forms = {"csv": damage_text, "tsv": damage_text, "json": damage_json, "jsonl": damage_json, "parquet": damage_bytes}
    kinds = []
    for form, how in forms.items():
        name = f"results.{form}"
        uses = (
            f"sort {name} --into sorted --dry-run", f"sort {name} --into sorted --link", "sort --undo sorted",
            f"report {name} -o page.html", f"evaluate {name} --truth truth.csv", f"info {name}", f"tag {name} -n",
            f"export annotations {name} -o tasks.json",
            *(() if form == "json" else (f"classify photos {ANSWER} --resume -o {name}",)),
        )  # fmt: skip
        kinds.append(FileKind(name, name, how, uses, ("truth.csv", f"{name}.run.json")))
    again = f"classify photos {ANSWER} --resume -o "
    manifest = (f"{again}parts/ --part-size 2 --format jsonl", "sort parts --into sorted -n")
    log = "sorted/.clipcli-sort.jsonl"
    sort = tuple(f"sort results.csv --into sorted --{how}" for how in ("link", "move"))
    interrupted = f"{again}partial/results.jsonl --batch-size 1 --top-k 2 --no-cache"
    return [
        *kinds,
        FileKind("run.json", "results.csv.run.json", damage_json, (f"{again}results.csv", "info results.csv"),
                 ("results.csv",)),
        FileKind("partial", "partial/results.jsonl.partial", damage_json, (interrupted,), ("partial",)),
        FileKind("partial.json", "partial/results.jsonl.partial.json", damage_json, (interrupted,), ("partial",)),
        FileKind("manifest", "parts/manifest.json", damage_json, manifest, ("parts",)),
        FileKind("part", "parts/part-*", damage_json, manifest, ("parts",)),
        FileKind("log", log, damage_json, ("sort --undo sorted -q",), ("results.csv",), sort[:1]),
        FileKind("moves", log, damage_json, ("sort --undo sorted --root photos",), ("results.csv",), sort[1:]),
        FileKind("lines", log, damage_lines, ("sort --undo sorted", "sort results.csv --into sorted"),
                 ("results.csv",), sort[:1]),
    ]  # fmt: skip


def _models() -> list[FileKind]:
    kinds = []
    for folder in ("model", "tokenized", "pickled"):
        use = f"classify photos -m local-dir:{folder} -l cat -l coffee --offline"
        train = f"train pairs.csv -o out {_TRAIN.replace('model', folder)} --offline"
        lines = (use, train) if folder == "model" else (use,)
        kinds.append(FileKind(f"{folder}-config", f"{folder}/open_clip_config.json", damage_json, lines,
                              (folder, "pairs.csv", "pairs")))  # fmt: skip
        kinds.append(FileKind(f"{folder}-weights", f"{folder}/open_clip_*o*el.[sb]*", damage_bytes, (use,), (folder,)))
    for file in ("tokenizer_config.json", "tokenizer.json"):
        use = "classify photos -m local-dir:tokenized -l cat -l coffee --offline"
        kinds.append(FileKind(file, f"tokenized/{file}", damage_json, (use,), ("tokenized",)))
    for form in ("npy", "npz", "safetensors", "parquet", "csv", "jsonl"):
        how = {"csv": damage_text, "jsonl": damage_json}.get(form, damage_bytes)
        use = f"classify photos -m pocket --classes classes.{form}"
        kinds.append(FileKind(f"classes.{form}", f"classes.{form}", how, (use,), ("classes.npy.json",)))
        given = f"-m pocket --image-embeddings images.{form}"
        uses = f"classify {given} -l cat -l coffee", f"search cat {given}"
        kinds.append(FileKind(f"images.{form}", f"images.{form}", how, uses, ("images.npy.jsonl",)))
    for form, how in (("safetensors", damage_bytes), ("json", damage_json)):
        uses = f"classify photos -m pocket --classes taught.{form}", f"matrix photos -m pocket --classes taught.{form}"
        kinds.append(FileKind(f"taught.{form}", f"taught.{form}", how, uses))
    calibrated = {
        "calibration.json": "classify photos -m pocket -L labels.txt --calibration calibration.json",
        "calibrated.json": "classify photos -m pocket --classes calibrated.json",
    }
    kinds += [FileKind(name, name, damage_json, (use,), ("labels.txt",)) for name, use in calibrated.items()]
    use = "classify photos -m pocket --classes classes.npy"
    kinds.append(FileKind("classes.npy.json", "classes.npy.json", damage_json, (use,), ("classes.npy",)))
    use = "classify -m pocket --image-embeddings images.npy -l cat -l coffee"
    kinds.append(FileKind("images.npy.jsonl", "images.npy.jsonl", damage_json, (use,), ("images.npy",)))
    cache = ("cache info", "cache check", f"classify photos {ANSWER}", "cache clear --yes")
    return [*kinds, FileKind("cache", "cache/embeddings-v1.sqlite", damage_bytes, cache)]


def _training() -> list[FileKind]:
    captions = f"train captioned -o out {_TRAIN}"
    kinds = [
        FileKind("pairs.csv", "pairs.csv", damage_text, (f"train pairs.csv -o out {_TRAIN}",), ("pairs", "model")),
        FileKind("pairs.jsonl", "pairs.jsonl", damage_json, (f"train pairs.jsonl -o out {_TRAIN}",),
                 ("pairs", "model")),
        FileKind("caption", "captioned/00.txt", damage_text, (captions,), ("captioned", "model")),
        FileKind("summary", "trained/training/summary.json", damage_json, ("train -o trained --resume",),
                 ("trained", "pairs", "pairs.csv", "model")),
    ]  # fmt: skip
    for file, how in (("settings.json", damage_json), ("metrics.jsonl", damage_json), ("checkpoint.pt", damage_bytes)):
        kinds.append(
            FileKind(file, f"stopped/training/{file}", how, ("train -o stopped --resume -q",),
                     ("stopped", "pairs", "pairs.csv", "model"))
        )  # fmt: skip
    return kinds


def file_kinds() -> dict[str, FileKind]:
    """Return all kinds of files by name."""
    return {kind.name: kind for kind in (*_labels(), *_inputs(), *_results(), *_models(), *_training())}
