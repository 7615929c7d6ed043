"""Pairs from what people have; what is held out; what is chosen where nothing was said."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipcli.errors import InputError, OutputError
from clipcli.labels.files import Label
from clipcli.labels.templates import Template
from clipcli.outputs.run_settings import RunSettings
from clipcli.training.captions import Captions
from clipcli.training.data import Batches, group_of
from clipcli.training.pairs import Example, ImageFile, read_pairs
from clipcli.training.request import Request
from clipcli.training.settings import Facts, TrainConfig, choose_settings
from clipcli.training.split import split


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (len(path.name), 0, 0)).save(path)
    return path


def examples(count: int, labels: int = 0) -> list[Example]:
    return [
        Example(f"{place}.png", ImageFile(f"{place}.png"), f"pairs.csv:{place + 2}",
                () if labels else (f"caption {place}",), f"class {place % labels}" if labels else None)
        for place in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.tsv", "pairs.jsonl"])
def test_tables_name_images_beside_them_and_their_captions(name: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    rows = {
        "pairs.csv": 'path,caption\na.png,"a cat, asleep"\n',
        "pairs.tsv": "filepath\ttitle\na.png\ta cat, asleep\n",  # as open_clip's own tables have it
        "pairs.jsonl": '{"path": "a.png", "caption": "a cat, asleep"}\n',
    }
    (tmp_path / name).write_text(rows[name])
    (example,) = read_pairs([str(tmp_path / name)]).examples
    assert example.captions == ("a cat, asleep",)
    assert example.image == ImageFile(str(tmp_path / "a.png"))
    assert example.where == f"{tmp_path / name}:{1 if name.endswith('jsonl') else 2}"


def test_rows_of_one_image_become_one_example_with_several_captions(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("path,caption\na.png,a cat\nb.png,a dog\na.png,a tabby\na.png,a cat\n")
    first, second = read_pairs([str(tmp_path / "p.csv")]).examples
    assert first.captions == ("a cat", "a tabby")
    assert second.captions == ("a dog",)


def test_rows_that_cannot_be_used_are_reported_with_their_line(tmp_path: Path) -> None:
    lines = ["path,caption", "a.png,", ",a cat", "b.png,a dog", "c.png,  "]
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    found = read_pairs([str(tmp_path / "p.csv")])
    assert [example.name for example in found.examples] == ["b.png"]
    assert [str(row).removeprefix(str(tmp_path)) for row in found.left_out] == [
        "/p.csv:2: a.png: the caption is empty",
        "/p.csv:3: no path",
        "/p.csv:5: c.png: the caption is empty",
    ]


def test_a_line_that_is_no_json_object_is_left_out_alone(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"path": "a.png"\n[]\n{"path": "b.png", "caption": ["x", "y"]}\n')
    found = read_pairs([str(tmp_path / "p.jsonl")])
    assert [example.captions for example in found.examples] == [("x", "y")]
    assert [row.reason for row in found.left_out] == ["the line cannot be read"] * 2


def test_a_row_that_contradicts_an_earlier_one_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("path,label\na.png,cat\na.png,dog\n")
    found = read_pairs([str(tmp_path / "p.csv")])
    assert [example.label for example in found.examples] == ["cat"]
    assert "labelled 'dog' here but 'cat' in" in found.left_out[0].reason


def test_a_folder_with_texts_beside_images_holds_a_caption_a_line(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "a.txt").write_text("a cat\na tabby\n")
    (tmp_path / "in" / "b.txt").write_text("\n")
    found = read_pairs([str(tmp_path)])
    assert [example.captions for example in found.examples] == [("a cat", "a tabby")]
    assert [row.reason for row in found.left_out] == ["the caption is empty", "its caption file c.txt is missing"]


def test_a_folder_of_folders_names_classes(tmp_path: Path) -> None:
    picture(tmp_path / "cat" / "deep" / "a.png")
    picture(tmp_path / "dog" / "b.png")
    picture(tmp_path / "stray.png")
    found = read_pairs([str(tmp_path)])
    assert [(example.label, example.captions) for example in found.examples] == [("cat", ()), ("dog", ())]
    assert "is not in a class folder" in found.left_out[0].reason


def make_shard(path: Path, samples: dict[str, dict[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for key, parts in samples.items():
            for suffix, data in parts.items():
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def test_shards_hold_samples_that_are_read_where_they_lie(tmp_path: Path) -> None:
    data = picture(tmp_path / "x.png").read_bytes()
    make_shard(tmp_path / "s-00.tar", {"000": {"png": data, "txt": b"a cat"}, "001": {"png": data}})
    make_shard(tmp_path / "s-01.tar", {"d/2": {"json": json.dumps({"caption": "a dog"}).encode(), "png": data},
                                       "d/3": {"png": data, "cls": b"7"}})  # fmt: skip
    for source in (str(tmp_path / "s-{00..01}.tar"), str(tmp_path / "s-*.tar")):
        found = read_pairs([source])
        assert [(each.captions, each.label) for each in found.examples] == [
            (("a cat",), None), (("a dog",), None), ((), "7"),
        ]  # fmt: skip
        assert all(each.image.read() == data for each in found.examples)
        assert [row.where for row in found.left_out] == [f"{tmp_path}/s-00.tar/001"]


def test_a_damaged_shard_is_left_out_and_the_others_go_on(tmp_path: Path) -> None:
    data = picture(tmp_path / "x.png").read_bytes()
    make_shard(tmp_path / "a.tar", {"1": {"png": data, "txt": b"a cat"}})
    (tmp_path / "b.tar").write_bytes(b"no archive " * 100)
    found = read_pairs([str(tmp_path / "a.tar"), str(tmp_path / "b.tar")])
    assert len(found.examples) == 1
    assert found.left_out[0].where == str(tmp_path / "b.tar")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.csv", None, "no such file or folder"),
        (
            "p.csv",
            "file,words\na,b\n",
            "it needs the columns 'path', and 'caption' or 'label' \\(it has: file, words\\)",
        ),
        ("p.csv", "path,caption\n", "it has no image-text pairs"),
        ("p.xlsx", "x", "pairs must be in a folder or a "),
    ],
)
def test_what_holds_no_pairs_is_one_clear_error(name: str, text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_pairs([str(tmp_path / name)])


def test_a_share_of_each_class_is_held_out_the_same_for_a_seed() -> None:
    kept, held = split(examples(100, labels=4), 0.1, seed=3)
    assert (len(kept), len(held)) == (92, 8)  # two of each twenty-five
    assert {each.label for each in held} == {f"class {number}" for number in range(4)}
    assert not {each.name for each in kept} & {each.name for each in held}
    assert split(examples(100, labels=4), 0.1, seed=3) == (kept, held)
    assert split(examples(100, labels=4), 0.1, seed=4) != (kept, held)


def test_captions_of_a_class_come_from_every_template_and_share_a_group() -> None:
    given_, labels = examples(4, labels=2), [Label("cat", folder="class 0"), Label("dog", folder="class 1")]
    captions = Captions.of(given_, labels, [Template("a {label}"), Template("one {label}")])
    assert captions(given_[0]) == ("a cat", "one cat")
    groups = {group_of(given_[0], text) for text in captions(given_[0])}
    assert len(groups) == 1
    assert groups != {group_of(given_[1], "a cat")}


def test_captions_that_say_the_same_share_a_group_however_they_are_written() -> None:
    (one,) = examples(1)
    assert group_of(one, "A  cat ") == group_of(one, "a cat") != group_of(one, "a cats")


@given(count=st.integers(8, 200), share=st.integers(1, 8), parts=st.integers(1, 3), world=st.integers(1, 3))
def test_processes_and_parts_cut_the_same_global_batches(count: int, share: int, parts: int, world: int) -> None:
    size = parts * world * max(1, min(share, count // (parts * world)))
    if size > count:
        return
    whole = [set(batch) for batch in Batches(count, size, seed=5)]
    ranks = [list(Batches(count, size, parts, rank, world, seed=5)) for rank in range(world)]
    cut = [
        {key for rank in ranks for part in rank[step * parts : (step + 1) * parts] for key in part}
        for step in range(len(whole))
    ]
    assert cut == whole
    assert all(len(part) == size // (parts * world) for rank in ranks for part in rank)


def test_batches_can_begin_in_the_middle_of_an_epoch_and_differ_by_epoch() -> None:
    whole = list(Batches(50, 8, seed=1))
    rest = Batches(50, 8, seed=1)
    rest.first_step = 4
    assert list(rest) == whole[4:]
    rest.epoch, rest.first_step = 1, 0
    assert [sorted(place for _, place in batch) for batch in rest] != [sorted(p for _, p in batch) for batch in whole]
    assert len({key for batch in whole for key in batch}) == 48


def test_defaults_suit_the_data_and_the_network() -> None:
    large = choose_settings(TrainConfig(), Facts(100_000, 150_000_000, from_scratch=False, device="cuda:0"))
    small = choose_settings(TrainConfig(), Facts(500, 20_000_000, from_scratch=False, device="cpu"))
    scratch = choose_settings(TrainConfig(), Facts(5_000, 10_000_000, from_scratch=True, device="cpu"))
    assert (large.batch_size, large.epochs, large.learning_rate) == (256, 3, 1e-5)
    assert (small.batch_size, small.epochs, small.learning_rate) == (32, 20, 1e-4)
    assert (scratch.batch_size, scratch.learning_rate) == (128, 1e-3)
    assert choose_settings(TrainConfig(batch_size=512), Facts(20, 1, False, "cpu")).batch_size == 20
    assert (
        str(choose_settings(TrainConfig(lock_image=True), Facts(500, 20_000_000, False, "cpu")).learning_rate)
        == "0.0003"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [("20%", (0.2, None)), ("0.2", (0.2, None)), ("more.csv", (0.0, "more.csv")), ("0", (0.0, None))],
)
def test_the_share_for_validation_can_be_a_percentage(given: str, expected: tuple[float, str | None]) -> None:
    assert Request(validation=given).held_out == expected


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (TrainConfig(batch_size=4, accumulate=3), "--accumulate 3"),
        (TrainConfig(batch_size=2, accumulate=2), "--accumulate 2"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(wishes: TrainConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_settings(wishes, Facts(100, 1_000, from_scratch=False, device="cpu"))


def test_going_on_with_other_settings_is_refused_by_name() -> None:
    settings = choose_settings(TrainConfig(seed=1), Facts(100, 1_000, False, "cpu"))
    earlier = RunSettings("train", settings.as_json)

    def check(wishes: TrainConfig) -> None:
        RunSettings("train", asdict(wishes)).check_same(earlier, "model", given_only=True)

    check(TrainConfig())
    check(TrainConfig(seed=1))
    with pytest.raises(OutputError, match=r"had a different learning rate: 0\.0001, now 0\.5 \(use the same settings"):
        check(TrainConfig(learning_rate=0.5))
    with pytest.raises(OutputError, match="had different epochs: "):
        check(TrainConfig(epochs=999))


def test_recall_at_k_agrees_with_open_clip_where_no_caption_repeats() -> None:
    import torch

    from clipcli.models._torchvision import import_open_clip

    import_open_clip()
    from open_clip_train.train import get_clip_metrics

    from clipcli.scoring.retrieval import recall_at

    chance = np.random.default_rng(0)
    images = chance.normal(size=(40, 6))
    texts = images + chance.normal(size=(40, 6))
    theirs = get_clip_metrics(torch.from_numpy(images), torch.from_numpy(texts), torch.tensor(1.0))
    for within in (1, 5):
        ours = recall_at(images @ texts.T, np.arange(40), within)
        assert ours == (theirs[f"image_to_text_R@{within}"], theirs[f"text_to_image_R@{within}"])


def test_a_caption_that_stands_twice_is_right_in_both_places() -> None:
    from clipcli.scoring.retrieval import recall_at

    cosines = [[0.1, 0.9, 0.0], [0.9, 0.1, 0.0], [0.0, 0.0, 1.0]]
    assert recall_at(cosines, [0, 1, 2], 1) == pytest.approx((1 / 3, 1 / 3))
    assert recall_at(cosines, [7, 7, 2], 1) == (1.0, 1.0)
