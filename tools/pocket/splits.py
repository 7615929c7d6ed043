"""Which labelled pictures train the model, and which are left out to measure it.

    python -m tools.pocket.splits --data FOLDER

The split depends on names only: a hash of set and file name chooses pictures, a hash of set and label chooses
labels. No result has had a say in it, and a new archive never changes the split of another.

A set is ``NAME.tar`` or a folder ``NAME`` with ``manifest.tsv``: file, caption or label, and for clip art
keywords; one line per caption.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from PIL import Image

Rows = dict[str, tuple[tuple[str, ...], tuple[str, ...]]]  # a manifest: texts and keywords of each file
Part = Literal["train", "heldout", "heldout_label"]
SEED = "pocket 2"
MANIFEST = "manifest.tsv"
SHARE = 0.1  # of each set's pictures of trained labels are never trained on

CAPTIONED = ("flickr8k",)
CAPTIONED_HELDOUT = 1000  # pictures
LABELLED = {"miniplaces": 20, "sports100": 20, "aid": 6, "idenprof": 2, "trashnet": 2}  # labels left out altogether
DRAWN = ("openclipart", "noto_emoji")
DRAWN_WORDS = 12  # words left out of both sets of drawings
WORD_COUNTS = range(5, 61)  # drawings that show a word which may be left out: enough to measure, few enough to miss
SETS = (*CAPTIONED, *LABELLED, *DRAWN)

_NO_WORD = re.compile(r"hash|unsorted|.*[\d(].*")  # accidents in Open Clip Art's keywords


@dataclass(frozen=True)
class Picture:
    """One picture of a set. ``texts`` are its captions or its one label; ``keywords`` only clip art has."""

    set: str
    file: str
    texts: tuple[str, ...]
    keywords: tuple[str, ...]
    part: Part

    @property
    def label(self) -> str:
        """The label, or the first caption."""
        return self.texts[0]


@dataclass(frozen=True)
class PictureSet:
    """A set's pictures in the order of the manifest, and a way to read them.

    The archive stays open between reads, which may come from several threads.
    """

    name: str
    path: Path
    pictures: tuple[Picture, ...]

    def of(self, part: Part) -> list[Picture]:
        """List the pictures of one part."""
        return [picture for picture in self.pictures if picture.part == part]

    def labels(self, part: Part) -> list[str]:
        """List the distinct labels of one part, sorted."""
        return sorted({picture.label for picture in self.of(part)})

    def read(self, picture: Picture) -> bytes:
        """Read a picture's file.

        Raises
        ------
        KeyError
            If the archive lacks it.
        """
        if self.path.is_dir():
            return (self.path / picture.file).read_bytes()
        offset, size = self._index[picture.file]
        return os.pread(self._archive.fileno(), size, offset)  # neither threads nor forks share a position

    def image(self, picture: Picture) -> Image.Image:
        """Decode a picture in RGB, on white where it is transparent."""
        image: Image.Image = Image.open(io.BytesIO(self.read(picture)))
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")

    @cached_property
    def _archive(self) -> io.BufferedReader:
        return self.path.open("rb")

    @cached_property
    def _index(self) -> dict[str, tuple[int, int]]:
        with tarfile.open(self.path, "r:") as archive:
            return {_plain(member.name): (member.offset_data, member.size) for member in archive if member.isfile()}


def read_set(data: Path, name: str) -> PictureSet:
    """Read one set's manifest and decide the part of each picture.

    Raises
    ------
    FileNotFoundError
        If the folder holds neither ``NAME.tar`` nor a folder ``NAME``.
    """
    path = _find(data, name)
    if path is None:
        raise FileNotFoundError(f"{data}: no {name}.tar and no folder {name}")
    rows = _rows(path)
    if name in CAPTIONED:
        parts = _captioned_parts(name, rows)
    elif name in DRAWN:
        parts = _drawn_parts(name, rows, heldout_words(data))
    else:
        parts = _labelled_parts(name, rows)
    pictures = (Picture(name, file, *rows[file], parts[file]) for file in rows)
    return PictureSet(name, path, tuple(pictures))


def read_sets(data: Path, names: Sequence[str] = SETS) -> dict[str, PictureSet]:
    """Read the sets that the folder holds, by name."""
    return {name: read_set(data, name) for name in names if _find(data, name)}


def heldout_labels(name: str, labels: Iterable[str]) -> list[str]:
    """Choose the labels of a set that training never sees: those whose hash is least."""
    return sorted(sorted(set(labels), key=lambda label: _hash(name, label))[: LABELLED.get(name, 0)])


def heldout_words(data: Path) -> list[str]:
    """Choose the words whose drawings, clip art and emoji alike, training never sees."""
    path = _find(data, DRAWN[0])
    counts = Counter(word for _, keywords in _rows(path).values() for word in set(keywords)) if path else Counter[str]()
    common = [word for word, count in counts.items() if count in WORD_COUNTS]
    return sorted(sorted(common, key=lambda word: _hash("drawing", word))[:DRAWN_WORDS])


def drawn_words(picture: Picture) -> set[str]:
    """Collect the words of a drawing's title and keywords."""
    return _words(picture.texts, picture.keywords)


def _find(data: Path, name: str) -> Path | None:
    return next((path for path in (data / f"{name}.tar", data / name) if path.exists()), None)


def _captioned_parts(name: str, rows: Rows) -> dict[str, Part]:
    left_out = set(sorted(rows, key=lambda file: _hash(name, file))[:CAPTIONED_HELDOUT])
    return {file: "heldout" if file in left_out else "train" for file in rows}


def _labelled_parts(name: str, rows: Rows) -> dict[str, Part]:
    labels = set(heldout_labels(name, (texts[0] for texts, _ in rows.values())))
    return {
        file: "heldout_label" if texts[0] in labels else "heldout" if _draw(name, file) < SHARE else "train"
        for file, (texts, _) in rows.items()
    }


def _drawn_parts(name: str, rows: Rows, words: Sequence[str]) -> dict[str, Part]:
    """Split drawings by title, since one title often names several versions of one drawing."""
    left_out = set(words)
    return {
        file: "heldout_label"
        if left_out & _words(texts, keywords)
        else "heldout"
        if _draw(name, _title(texts[0])) < SHARE
        else "train"
        for file, (texts, keywords) in rows.items()
    }


def _rows(path: Path) -> Rows:
    """Each file of a manifest with its texts and keywords."""
    rows: Rows = {}
    for line in _manifest(path).splitlines():
        name, text, *rest = line.split("\t")
        file = _plain(name)
        texts, keywords = rows.get(file, ((), ()))
        words = (word.strip().lower() for word in rest[0].split(",")) if rest else ()
        more = tuple(word for word in words if word and not _NO_WORD.fullmatch(word))
        rows[file] = ((*texts, text.strip()), keywords or more)
    return rows


def _manifest(path: Path) -> str:
    if path.is_dir():
        return (path / MANIFEST).read_text(encoding="utf-8")
    with tarfile.open(path, "r:") as archive:
        member = next(member for member in archive if _plain(member.name) == MANIFEST)
        content = archive.extractfile(member)
        assert content is not None, f"{path}: {MANIFEST} is not a file"
        return content.read().decode("utf-8")


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _title(text: str) -> str:
    return " ".join(re.findall(r"[^\W\d_]+", re.sub(r"\(.*?\)", "", text.lower())))


def _words(texts: Iterable[str], keywords: Iterable[str]) -> set[str]:
    return {*keywords, *(word for text in texts for word in _title(text).split())}


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join((SEED, *parts)).encode()).hexdigest()


def _draw(*parts: str) -> float:
    """Draw a number in [0, 1) that depends on the parts only."""
    return int(_hash(*parts)[:13], 16) / 16**13


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how many pictures each part has, and which labels and words are left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of archives")
    given = parser.parse_args(arguments)
    for name, pictures in read_sets(given.data).items():
        counts = Counter(picture.part for picture in pictures.pictures)
        print(name, dict(counts), *(pictures.labels("heldout_label") if name in LABELLED else ()), sep="; ")
    print("words left out of the drawings", *heldout_words(given.data), sep="; ")


if __name__ == "__main__":
    main()
