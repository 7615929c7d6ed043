"""Options that would be ignored are refused, by one table that every option of every command has a place in."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from clipcli.cli import build_app
from clipcli.cli.requirements import REQUIREMENTS, CheckedCommand, unmet
from tests.conftest import RunHere

ALONE = {
    "classify": """inputs labels label template prompts classes model pretrained device precision engine offline
        top_k min_probability min_similarity min_margin tags level calibration form output compact resume show exclude
        include_hidden batch_size workers no_cache server quiet""",
    "serve": """labels label template prompts classes calibration model pretrained device precision engine offline host
        port root idle queue allow_host insecure batch_size workers no_cache quiet""",
    "sort": "results into root dry_run undo quiet",
    "evaluate": """source truth by path_column label_column labels label template prompts classes compare_model
        few_shot
        json_file plots offline exclude include_hidden quiet root""",
    "watch": """folder output sort settle labels label template prompts classes model pretrained device precision engine
        offline top_k min_probability min_similarity min_margin tags level calibration exclude include_hidden batch_size
        workers no_cache quiet tag""",
    "tag": "results root dry_run undo quiet",
    "teach": """examples output overwrite path_column label_column labels label template prompts method folds seed
        no_cache model pretrained device engine offline image_embeddings exclude include_hidden quiet""",
    "matrix": """inputs texts_file text classes template logits paired output plot model pretrained device precision
        engine offline exclude include_hidden batch_size workers no_cache quiet""",
    "report": "results output overwrite thumbnail title truth checked open_it quiet",
    "train": """pairs output resume validation labels template prompts from_scratch epochs batch_size accumulate
        learning_rate weight_decay warmup seed precision save_every device workers offline exclude include_hidden quiet
        """,
    "export text": "output overwrite labels label template prompts model pretrained device offline no_cache quiet",
    "export images": """inputs output overwrite resume dtype model pretrained device precision engine offline exclude
        include_hidden batch_size workers no_cache quiet""",
}
"""Options that work by themselves, or are checked where their values are read (``--resume``, ``--show``)."""

REFUSED = """
classify a.png -l a -l b -q -v: --verbose only works without --quiet
classify a.png -l a -l b --tags --calibration c.json --threshold 0.4: --threshold only works without --calibration
evaluate truth.csv --conformal 0.9: --conformal only works with --save-calibration or --save-classes
evaluate truth.csv --calibration a.json --save-classes c.json: --calibration only works without --save-classes
classify a.png -l a -l b --no-calibration: --no-calibration only works with --classes
evaluate truth.csv --tags --save-calibration c.json --target-error 0.1: --target-error only works without --tags
classify a.png -l a -l b --threshold 0.4: --threshold only works with --tags
classify a.png -l a -l b --tags --min-margin 0.4: --min-margin only works without --tags
evaluate truth.csv --tags --by group: --by only works without --tags
classify a.png -l a -l b --no-cache --cache-dir x: --cache-dir only works without --no-cache
classify a.png -l a -l b --no-cache --cache-size 1GB: --cache-size only works without --no-cache
classify a.png -l a -l b -0: --null only works with '-' as an INPUT
classify - -l a -l b --path-column p: --path-column only works with tables, not with '-': stdin holds plain paths
classify a.png -l a -l b --ray-address auto: --ray-address only works with --engine ray or ray+openvino
classify a.png -l a -l b --ray-actors 2 --engine openvino: --ray-actors only works with --engine ray or ray+openvino
classify a.png -l a -l b --ray-gpus 1: --ray-gpus only works with --engine ray or ray+openvino
classify a.png -l a --part-size 9 -o r.csv: --part-size only works with a folder as -o (end its name with /) or a URL
classify a.png -l a -l b --overwrite: --overwrite only works with -o
classify a.png --image-embeddings e.npz -l a: --image-embeddings only works without an INPUT
classify --image-embeddings e.npz -l a --engine ray: --image-embeddings only works without --engine ray or ray+openvino
classify --image-embeddings e.npz -l a --batch-size 2: --batch-size only works without --image-embeddings
classify a.png -l a --server http://127.0.0.1:9 --no-cache: --no-cache only works without --server
classify a.png -l a --token-file t: --token-file only works with --server
serve -l a --token t --token-file f: --token only works without --token-file
serve -l a --token t --insecure: --token only works without --insecure
search a --image-embeddings e.npz --path-column p: --path-column only works without --image-embeddings
evaluate d --image-embeddings e.npz --precision fp32: --precision only works without --image-embeddings
evaluate r.csv --truth t --image-embeddings e.npz: --image-embeddings only works without --truth
sort --undo d --copy: --copy only works without --undo
sort --undo d --link: --link only works without --undo
sort --undo d --move: --move only works without --undo
sort --undo d --checked c.csv: --checked only works without --undo
watch d -o r.csv -l a -l b --prefix x: --prefix only works with --tag
watch d -o r.csv -l a -l b --sort-action link: --sort-action only works with --sort
tag r.csv --undo --embed: --embed only works without --undo
tag r.csv --embed --sidecar stem: --sidecar only works without --embed
sort --undo d --by group: --by only works without --undo
evaluate r.csv --truth t --model pocket: --model only works without --truth
evaluate r.csv --truth t --device cpu: --device only works without --truth
evaluate r.csv --truth t --no-cache: --no-cache only works without --truth
evaluate r.csv --truth t --classes c.json: --classes only works without --truth
evaluate d --classes c.json --compare-model pocket: --classes only works without --compare-model
matrix a.png --classes c.json -x a: --text only works without --classes
teach d -o c.json --image-embeddings e.npz --workers 2: --workers only works without --image-embeddings
evaluate d --seed 3: --seed only works with --few-shot
evaluate d --probe-c 3: --probe-c only works with --few-shot
evaluate d --no-cache --cache-dir x: --cache-dir only works without --no-cache
matrix a.png -x a --null: --null only works with '-' as an INPUT
matrix - -x a --image-column i: --image-column only works with tables, not with '-': stdin holds plain paths
report r.csv -o r.html --thumbnail 0 --root d: --root only works with a --thumbnail above 0
report r.csv -o r.html --thumbnail 0 --workers 2: --workers only works with a --thumbnail above 0
train p -o m --resume --overwrite: --overwrite only works without --resume
train p -o m --from-scratch tiny --model pocket: --model only works without --from-scratch
train p -o m --from-scratch tiny --pretrained x: --pretrained only works without --from-scratch
train p -o m --from-scratch tiny --interpolate 0.5: --interpolate only works without --from-scratch
train p -o m --from-scratch tiny --lock-image: --lock-image only works without --from-scratch
train p -o m --unlocked-layers 2: --unlocked-layers only works with --lock-image or --lock-text
train p -o m --validation 0.0 --patience 2: --patience only works with pairs held out; see --validation
export text -l a -o x.npy --no-cache --cache-dir d: --cache-dir only works without --no-cache
matrix a.png -x a --overwrite: --overwrite only works with -o or --plot
evaluate d --overwrite: --overwrite only works with --json, --plots, --save-calibration or --save-classes
search a a.png --classes c.json -t "a {label}": --template only works without --classes
search a a.png --overwrite: --overwrite only works with -o
export images a.png -o x.npy --format jsonl: --format only works with a folder as -o (end its name with /) or a URL
export images a.png -o x.npy --part-size 2: --part-size only works with a folder as -o (end its name with /) or a URL
"""


def commands_of(group: Any, prefix: str = "") -> dict[str, Any]:
    """Every command by its full name."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = commands_of(command, f"{prefix}{name} ") if hasattr(command, "commands") else {}
        found |= inner or {f"{prefix}{name}": command}
    return found


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    return commands_of(typer.main.get_command(build_app(["x", "x"])))


@pytest.mark.parametrize("name", sorted(ALONE))
def test_every_option_has_its_place(name: str, commands: dict[str, Any]) -> None:
    """A new option must be entered here or in the table: whoever adds one thinks of what it needs."""
    needing = {option for requirement in REQUIREMENTS[name] for option in requirement.options}
    options = {parameter.name for parameter in commands[name].params} - {"help", "context"}
    assert isinstance(commands[name], CheckedCommand)
    assert needing <= options
    assert options - needing <= set(ALONE[name].split())


def test_commands_that_are_not_in_the_table_have_no_option_that_needs_another(commands: dict[str, Any]) -> None:
    others = {name: command for name, command in commands.items() if name not in REQUIREMENTS}
    assert {name.split()[0] for name in others} == {"models", "prompts", "cache", "info", "export"}
    assert all(unmet(name, [str(each.name) for each in command.params], {}) is None for name, command in others.items())


@pytest.mark.parametrize("line", REFUSED.strip().splitlines())
def test_what_would_be_ignored_is_refused_in_one_line(line: str, run_here: RunHere, tmp_path: Path) -> None:
    arguments, _, told = line.partition(": ")
    (done,) = run_here(shlex.split(arguments))
    command = " ".join(arguments.split()[: 2 if arguments.startswith("export") else 1])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {told} (see clipcli {command} --help)\n"
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "huggingface"}


def test_variables_are_defaults_and_never_refused(run_here: RunHere) -> None:
    line = ("classify", "gone-*.png", "-l", "a", "-l", "b", "--model", "pocket")
    (done,) = run_here(line, CLIPCLI_PART_SIZE="9", CLIPCLI_RAY_ACTORS="3", CLIPCLI_CACHE_DIR="c", CLIPCLI_NO_CACHE="1")
    assert done.stderr == "error: cannot read gone-*.png: no file matches this pattern\n"


@pytest.mark.parametrize(
    ("command", "given", "values"),
    [
        ("classify", ["null_separated"], {"inputs": ["a.png", "-"], "image_embeddings": None}),
        ("classify", ["image_embeddings"], {"inputs": None, "engine": "torch"}),
        ("classify", ["part_size"], {"output": "parts/"}),
        ("classify", ["part_size"], {"output": "s3://bucket/parts"}),
        ("classify", ["ray_actors", "ray_gpus"], {"engine": "ray+openvino"}),
        ("evaluate", ["seed"], {"few_shot": [2]}),
        ("evaluate", ["model"], {"truth": None}),
        ("train", ["unlocked_layers"], {"resume": False, "lock_image": False, "lock_text": True}),
        ("train", ["unlocked_layers"], {"resume": True}),
        ("train", ["patience"], {"validation": "held-out.csv"}),
        ("train", ["patience"], {"validation": None}),
        ("models list", ["everything"], {}),
    ],
)
def test_what_has_what_it_needs_is_not_refused(command: str, given: list[str], values: dict[str, Any]) -> None:
    assert unmet(command, given, values) is None
