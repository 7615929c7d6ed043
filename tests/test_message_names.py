"""Messages name options on the command line, and parameters in Python programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipcli import Classifier, message_names
from clipcli.errors import OutputError
from clipcli.log import LOG
from tests.conftest import RunHere

ANSWER = ("-m", "pocket", "-l", "cat", "-l", "dog")


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a process in which no command line is running."""
    monkeypatch.setattr(message_names, "_command_lines", 0)


@pytest.mark.usefixtures("in_python")
def test_an_error_in_python_names_the_parameter(tmp_path: Path, photos: dict[str, Path]) -> None:
    (tmp_path / "r.csv").write_text("label\n")
    classifier = Classifier("pocket", ["cat", "dog"])
    with pytest.raises(OutputError) as problem:
        classifier.classify_to(tmp_path / "r.csv", [photos["cat"]])
    assert str(problem.value).endswith("it exists (replace it with overwrite=True, or name another file)")


@pytest.mark.usefixtures("in_python")
def test_the_same_error_of_a_command_names_the_option_and_leaves_python_as_it_was(
    run_here: RunHere, tmp_path: Path, photos: dict[str, Path]
) -> None:
    (tmp_path / "r.csv").write_text("label\n")
    (done,) = run_here(("classify", photos["cat"], *ANSWER, "-o", "r.csv"))
    assert done.stderr.endswith("it exists (replace it with --overwrite, or name another file)\n")
    assert str(OutputError("leave out --no-cache")) == "leave out cache=False"


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("continue with --resume, or start again with --overwrite", "continue with resume=True, or start again with "
         "overwrite=True"),
        ("try --precision fp32", "try precision fp32"),
        ("use embeddings of clipcli export images with --image-embeddings", "use embeddings of clipcli export images "
         "with ImageEmbeddings"),
        ("true labels: clipcli evaluate r.csv --truth FILE; and --device",
         "true labels: clipcli evaluate r.csv --truth FILE; and device"),
        ("a--b -- c ---", "a--b -- c ---"),
    ],
)  # fmt: skip
def test_options_become_parameters_except_in_command_lines(
    text: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    LOG.warning(text)
    assert str(OutputError(text)) == told
    assert caplog.messages == [told]
