"""The other commands from end to end, CLIPCLI_* variables, and shell completion."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pytest

from clipcli.cache.embeddings import EmbeddingStore, ModelFacts
from clipcli.cli.options import bytes_in
from clipcli.errors import CacheError
from tests.conftest import Run, RunHere, RunTogether, lines_of

POCKET = ("--model", "pocket")
TWO_LABELS = ("-l", "cat", "-l", "cup of coffee")

Done = subprocess.CompletedProcess[str]

# --- export text ------------------------------------------------------------------------------------------

SUFFIXES = (".npy", ".npz", ".safetensors", ".parquet", ".csv", ".jsonl")


@pytest.fixture(scope="module")
def exported(run_together: RunTogether, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Done]]:
    """The embeddings of two labels in every format."""
    folder = tmp_path_factory.mktemp("exported")
    lines = [("export", "text", *TWO_LABELS, *POCKET, "-v", "-o", folder / f"labels{suffix}") for suffix in SUFFIXES]
    return folder, dict(zip(SUFFIXES, run_together(*lines), strict=True))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_export_text_writes_the_format_its_suffix_names(suffix: str, exported: tuple[Path, dict[str, Done]]) -> None:
    from clipcli.outputs.class_embeddings import load_class_embeddings

    folder, done = exported
    classes = load_class_embeddings(folder / f"labels{suffix}")
    assert (done[suffix].returncode, classes.labels) == (0, ("cat", "cup of coffee"))
    np.testing.assert_allclose(np.linalg.norm(classes.vectors, axis=1), 1.0, atol=1e-5)


def test_export_text_gives_other_programs_plain_arrays(exported: tuple[Path, dict[str, Done]]) -> None:
    vectors = np.load(exported[0] / "labels.npy", allow_pickle=False)
    assert (vectors.dtype, vectors.shape[0]) == (np.float32, 2)


def test_export_text_takes_from_the_cache_what_was_encoded_before(exported: tuple[Path, dict[str, Done]]) -> None:
    first, second, *_ = (lines_of(done.stderr)[0] for done in exported[1].values())
    assert first == "text: 0 prompts from the cache, 2 encoded"
    assert second == "text: 2 prompts from the cache, 0 encoded"


def test_export_text_says_what_it_wrote_where_with_verbose(exported: tuple[Path, dict[str, Done]]) -> None:
    folder, done = exported
    line = lines_of(done[".npz"].stderr)[-1]
    assert line.startswith("wrote 2 class embeddings of ")
    assert line.endswith(str(folder / "labels.npz"))


def test_export_text_needs_an_output(run: Run) -> None:
    done = run("export", "text", *TWO_LABELS, *POCKET)
    assert (done.returncode, len(lines_of(done.stderr))) == (2, 1)
    assert "--output" in done.stderr


MODEL_COLUMNS = "model\tpretrained\tgood for\tspeed\tmillion parameters\tImageNet %\tlicence\twhere"


# --- models -------------------------------------------------------------------------------------------------


def test_models_list_shows_the_built_in_and_the_recommended_models(run: Run) -> None:
    header, *rows = (line.split("\t") for line in lines_of(run("models", "list").stdout))
    assert "\t".join(header) == MODEL_COLUMNS
    assert rows[0] == ["pocket", "", "first steps, without a download", "fast", "24", "", "apache-2.0", "built in"]
    assert ["ViT-B-32-256", "datacomp_s34b_b86k", "most tasks (default)", "fast", "151", "72.8", "mit", ""] in rows


def test_models_list_all_shows_every_tag_that_open_clip_knows(run: Run) -> None:
    from clipcli.models._torchvision import import_open_clip

    rows = [tuple(line.split("\t")[:2]) for line in lines_of(run("models", "list", "--all").stdout)[1:]]
    assert rows[0] == ("pocket", "")
    assert set(import_open_clip().list_pretrained()) <= set(rows)
    assert len(rows) == len(set(rows))


def test_models_list_can_be_narrowed_to_a_text(run: Run) -> None:
    _, *rows = lines_of(run("models", "list", "siglip2").stdout)
    assert rows
    assert all("siglip2" in row.lower() for row in rows)


def test_models_list_says_so_where_nothing_has_the_text(run: Run) -> None:
    done = run("models", "list", "no-such-thing")
    assert lines_of(done.stdout) == [MODEL_COLUMNS]
    assert lines_of(done.stderr) == ["warning: no model name, tag or purpose contains 'no-such-thing'"]


def test_models_list_can_be_searched_by_purpose(run: Run) -> None:
    _, *rows = lines_of(run("models", "list", "species").stdout)
    assert [row.split("\t")[0] for row in rows] == ["hf-hub:imageomics/bioclip"]


def test_models_delete_asks_or_needs_yes_and_takes_downloads_only(run: Run) -> None:
    for name, reason in (("pocket", "cannot delete pocket"), ("ViT-B-32-256", "it is not on this machine")):
        done = run("models", "delete", name, "--yes")
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in done.stderr


def test_models_show_tells_what_a_model_of_the_hub_is_good_for(run: Run) -> None:
    shown = run("models", "show", "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224").stdout
    assert "note: for research only: never use it for diagnosis or treatment" in lines_of(shown)


def test_models_list_on_disk_shows_only_what_needs_no_network(run: Run) -> None:
    (row,) = lines_of(run("models", "list", "--on-disk").stdout)[1:]
    assert (row.split("\t")[0], row.split("\t")[-1]) == ("pocket", "built in")


def test_models_show_pocket_tells_licence_and_size(run: Run) -> None:
    shown = run("models", "show", "pocket").stdout
    assert "license: Apache-2.0" in lines_of(shown)
    assert "parameters: " in shown


def test_models_show_is_written_for_people(run: Run) -> None:
    shown = run("models", "show", "pocket").stdout
    assert not set("[]'_") & set(shown.replace("tf_efficientnet_lite2", ""))


def test_models_show_json_can_be_read_back(run: Run) -> None:
    assert json.loads(run("models", "show", "pocket", "--json").stdout)["name"] == "pocket"


def test_models_show_tells_an_architectures_size_and_tags(run: Run) -> None:
    facts = json.loads(run("models", "show", "ViT-B-32-256", "--json").stdout)
    assert (facts["image size"], facts["embedding dimensions"], facts["context length"]) == (256, 512, 77)
    assert (facts["pretrained"], facts["licence"], facts["languages"]) == ("datacomp_s34b_b86k", "mit", "English")
    assert facts["pretrained tags"] == [{"tag": "datacomp_s34b_b86k", "ImageNet": "72.8 %"}]
    assert facts["model card"] == "https://huggingface.co/laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K"
    assert "clipcli models download ViT-B-32-256 --pretrained datacomp_s34b_b86k" in facts["weights"]


def test_models_show_tells_what_is_known_of_other_weights(run: Run) -> None:
    facts = json.loads(run("models", "show", "ViT-B-32", "--pretrained", "openai", "--json").stdout)
    assert (facts["million parameters"], facts["ImageNet top-1 in percent, zero-shot"]) == (151.3, "63.3")
    assert {"tag": "laion2b_s34b_b79k", "ImageNet": "66.6 %"} in facts["pretrained tags"]
    lines = lines_of(run("models", "show", "xlm-roberta-base-ViT-B-32").stdout)
    assert "languages: many (multilingual text encoder)" in lines
    assert "  tag laion5b_s13b_b90k, ImageNet 62.4 %" in lines
    done = run("models", "show", "ViT-B-32", "--pretrained", "openia")
    assert (done.returncode, done.stderr) == (
        2,
        "error: ViT-B-32 has no pretrained tag 'openia'; did you mean openai?\n",
    )


def test_models_show_pocket_prints_the_main_figures_only(run: Run) -> None:
    lines = lines_of(run("models", "show", "pocket").stdout)
    assert len(lines) < 32
    assert {"languages: English", "image size: 260", "context length: 32", "weights: built in, 48 MB"} <= set(lines)
    assert len(json.loads(run("models", "show", "pocket", "--json").stdout)["figures"]) > 50


# --- prompts --------------------------------------------------------------------------------------------------


def test_prompts_list_shows_each_set_with_its_size_and_purpose(run: Run) -> None:
    header, *rows = (line.split("\t") for line in lines_of(run("prompts", "list").stdout))
    assert header == ["name", "templates", "for"]
    assert "photo" in [row[0] for row in rows]
    assert all(int(row[1]) > 0 and row[2] for row in rows)


def test_prompts_show_prints_as_many_templates_as_the_list_says(run: Run) -> None:
    sizes = {row.split("\t")[0]: int(row.split("\t")[1]) for row in lines_of(run("prompts", "list").stdout)[1:]}
    templates = lines_of(run("prompts", "show", "photo").stdout)
    assert len(templates) == sizes["photo"]
    assert all("{" in template for template in templates)


def test_prompts_show_reads_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("# mine\n{} at night\n")
    assert run("prompts", "show", "mine.txt").stdout == "{} at night\n"


# --- cache ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cache_story(run_together: RunTogether, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What the cache says after an export, when cleared, and afterwards."""
    output = tmp_path_factory.mktemp("cache") / "labels.npz"
    _, *cache = run_together(
        ("export", "text", *TWO_LABELS, *POCKET, "-o", output),
        *(("cache", *command) for command in (("info",), ("check",), ("clear", "--yes"), ("info",))),
    )
    assert [done.returncode for done in cache] == [0, 0, 0, 0]
    return [lines_of(done.stdout) for done in cache]


def test_cache_info_says_where_it_is_and_what_it_holds(cache_story: list[list[str]]) -> None:
    place, header, row = cache_story[0]
    assert Path(place.split("\t")[0]).name.endswith(".sqlite")
    assert header.split("\t") == ["model", "kind", "embeddings"]
    assert row.split("\t") == ["pocket", "text", "2"]


def test_cache_check_finds_a_sound_cache_sound(cache_story: list[list[str]]) -> None:
    assert cache_story[1] == ["no damage found"]


def test_cache_clear_says_how_much_went(cache_story: list[list[str]]) -> None:
    assert cache_story[2] == ["deleted 2 embeddings"]


def test_cache_clear_asks_or_needs_yes(run_here: RunHere, tmp_path: Path) -> None:
    with EmbeddingStore(tmp_path / "cache") as store:
        store.remember_model("abc", ModelFacts("a", None, 4, 100.0, None))
        store.put_many("text", "abc", {bytes(32): np.full(4, 0.5, np.float32)})
    refused, info = run_here(("cache", "clear"), ("cache", "info"))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: cannot delete the cache {tmp_path}")
    assert refused.stderr.endswith(": stdin is not a terminal, so it cannot be confirmed (use --yes)\n")
    assert info.stdout.endswith("a\ttext\t1\n")


def test_a_cleared_cache_holds_nothing(cache_story: list[list[str]]) -> None:
    assert cache_story[3][1:] == ["model\tkind\tembeddings"]


def test_looking_at_a_cache_that_is_not_there_makes_none(run_here: RunHere, tmp_path: Path) -> None:
    info, check, clear = run_here(*(("cache", command) for command in ("info", "check", "clear")))
    assert info.stdout.splitlines()[0].endswith("embeddings-v1.sqlite\t0 bytes")
    assert (check.returncode, check.stderr, check.stdout) == (0, "", "no damage found\n")
    assert (clear.returncode, clear.stderr, clear.stdout) == (0, "", "deleted 0 embeddings\n")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("command", ["clear", "info", "check"])
def test_a_locked_cache_is_an_error_in_one_line(command: str, run_here: RunHere, tmp_path: Path) -> None:
    file = tmp_path / "cache" / "embeddings-v1.sqlite"
    EmbeddingStore(file.parent).close()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")  # so that a writer keeps readers out, too
    other.execute("BEGIN EXCLUSIVE")
    (done,) = run_here(("cache", command))
    other.close()
    told = f"error: cannot use the cache {file}: locked by another process (try again when it has finished)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)


def test_a_damaged_entry_is_listed_and_exits_1(run_here: RunHere, tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "cache")
    store.keep_note("precision", "bf16")
    store.close()
    connection = sqlite3.connect(tmp_path / "cache" / "embeddings-v1.sqlite")
    with connection:
        connection.execute("UPDATE notes SET value = replace(value, 'bf', 'fp')")
    connection.close()
    (done,) = run_here(("cache", "check"))
    assert (done.returncode, done.stdout) == (1, "note precision: does not match its checksum\n")
    assert done.stderr == "warning: damaged entries are not used; they are recomputed when needed\n"


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ("500MB", 500 * 10**6), ("500MiB", 500 * 2**20), ("500M", 500 * 10**6), ("4GB", 4 * 10**9), ("4 gib", 2**32),
        ("1.5TB", 1_500_000_000_000), ("2000KiB", 2000 * 2**10), ("2000000", 2_000_000), ("2000000B", 2_000_000),
    ],
)  # fmt: skip
def test_a_size_is_read_by_its_unit(size: str, count: int) -> None:
    assert bytes_in(size) == count


@pytest.mark.parametrize(
    "size", ["", "0", "0MB", "1", "999KB", "-1GB", "MB", "5 bananas", "1e3MB", "nanMB", "4GBB", "5iB", "٤GB", "9" * 400]
)
def test_a_size_that_makes_no_sense_is_refused(size: str) -> None:
    with pytest.raises(CacheError, match="--cache-size"):
        bytes_in(size)


def test_a_damaged_cache_is_set_aside_and_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "embeddings-v1.sqlite").write_bytes(b"no database at all" * 100)
    done = run("cache", "check")
    assert done.returncode == 1
    assert "damaged" in done.stderr
    assert [path for path in (tmp_path / "cache").iterdir() if path.read_bytes().startswith(b"no database")]


# --- variables --------------------------------------------------------------------------------------------------

IN_VAIN = ("classify", "x.png", "-l", "cat")


@pytest.mark.parametrize(
    ("variable", "option", "value", "line"),
    [
        ("CLIPCLI_LABELS", "--labels", "nowhere.txt", (*IN_VAIN, *POCKET)),
        ("CLIPCLI_MODEL", "--model", "nonesuch", IN_VAIN),
        ("CLIPCLI_PRETRAINED", "--pretrained", "nowhere.pt", (*IN_VAIN, "--model", "ViT-B-32")),
        ("CLIPCLI_BATCH_SIZE", "--batch-size", "0", IN_VAIN),
        ("CLIPCLI_WORKERS", "--workers", "few", IN_VAIN),
        ("CLIPCLI_CACHE_DIR", "--cache-dir", "file/cache", ("cache", "info")),
    ],
)
def test_a_variable_does_what_its_option_does(
    variable: str, option: str, value: str, line: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    by_option, by_variable = run(*line, option, value), run(*line, **{variable: value})
    assert by_option.returncode == by_variable.returncode == 2
    assert by_option.stderr == by_variable.stderr != ""


@pytest.mark.parametrize(("variable", "option"), [("CLIPCLI_DEVICE", "--device"), ("CLIPCLI_PRECISION", "--precision")])
def test_a_variable_for_the_hardware_does_what_its_option_does(
    variable: str, option: str, run_together: RunTogether, photos: dict[str, Path]
) -> None:
    line = ("classify", str(photos["cat"]), "-l", "cat", "-l", "dog", *POCKET)
    (by_option,) = run_together((*line, option, "abacus"))
    (by_variable,) = run_together(line, **{variable: "abacus"})
    assert by_option.returncode == by_variable.returncode == 2
    assert "abacus" in by_option.stderr
    assert by_option.stderr == by_variable.stderr


@pytest.mark.parametrize(
    ("variable", "option", "line"),
    [
        ("CLIPCLI_OFFLINE", "--offline", (*IN_VAIN, "--model", "ViT-B-32")),
        ("CLIPCLI_QUIET", "--quiet", ("models", "download", "ViT-B-32")),
    ],
)
def test_a_variable_switches_on_what_its_option_switches_on(
    variable: str, option: str, line: tuple[str, ...], run: Run
) -> None:
    assert run(*line, option).stderr == run(*line, **{variable: "1"}).stderr


def test_the_no_cache_variable_keeps_nothing_on_disk(run: Run, tmp_path: Path, photos: dict[str, Path]) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    variables = {
        "CLIPCLI_NO_CACHE": "1", "CLIPCLI_MODEL": "pocket", "CLIPCLI_LABELS": "labels.txt", "CLIPCLI_OFFLINE": "1",
        "CLIPCLI_BATCH_SIZE": "1", "CLIPCLI_WORKERS": "1", "CLIPCLI_DEVICE": "cpu", "CLIPCLI_PRECISION": "fp32",
    }  # fmt: skip
    done = run("classify", photos["cat"], **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\tcat\t" in lines_of(done.stdout)[1]
    assert [path.name for path in tmp_path.iterdir()] == ["labels.txt"]


def test_an_option_goes_before_its_variable(run: Run) -> None:
    done = run(*IN_VAIN, "--model", "another-one", CLIPCLI_MODEL="nonesuch")
    assert "another-one" in done.stderr
    assert "nonesuch" not in done.stderr


def test_text_embeddings_go_before_the_labels_variable(run: Run, photos: dict[str, Path]) -> None:
    done = run("classify", str(photos["cat"]), "--classes", "gone.npz", *POCKET, CLIPCLI_LABELS="labels.txt")
    assert lines_of(done.stderr) == ["error: cannot read gone.npz: no such file"]


# --- completion -------------------------------------------------------------------------------------------------


def completed(run: Run, *words: str) -> list[str]:
    """What a Bash shell would offer after the words, the last of which is being typed."""
    line = " ".join(("clipcli", *words))
    done = run(_CLIPCLI_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words)))
    assert done.stderr == ""
    return lines_of(done.stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_written_for_each_shell(shell: str, run: Run) -> None:
    done = run("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0
    assert "_CLIPCLI_COMPLETE" in done.stdout


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="no Bash here")
def test_bash_accepts_the_completion_script(run: Run) -> None:
    script = run(_CLIPCLI_COMPLETE="source_bash").stdout
    done = subprocess.run(
        ["/bin/bash", "-c", f"{script}\ncomplete -p clipcli"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("complete ")


def test_completion_offers_the_commands(run: Run) -> None:
    assert completed(run, "") == [
        "classify",
        "sort",
        "evaluate",
        "teach",
        "matrix",
        "search",
        "report",
        "train",
        "serve",
        "tag",
        "watch",
        "info",
        "export",
        "models",
        "prompts",
        "cache",
    ]


def test_completion_offers_the_commands_of_a_group(run: Run) -> None:
    assert completed(run, "cache", "c") == ["clear", "check"]


def test_completion_offers_options(run: Run) -> None:
    assert "--classes" in completed(run, "classify", "--cl")


def test_completion_offers_models(run: Run) -> None:
    assert completed(run, "classify", "--model", "po") == ["pocket"]


def test_completion_offers_template_sets(run: Run) -> None:
    assert completed(run, "classify", "--prompts", "ph") == ["photo"]


def test_completion_offers_formats(run: Run) -> None:
    assert completed(run, "classify", "--format", "js") == ["json", "jsonl"]
