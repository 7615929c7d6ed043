"""open_clip's tables as clipcli reads them: the same content, without the seconds that torch takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from clipcli.errors import ModelError, ModelNotFoundError
from clipcli.models import registry
from clipcli.models._torchvision import import_open_clip

OPENAI_MEAN = [0.48145466, 0.4578275, 0.40821073]


def test_the_tables_are_read_without_torch() -> None:
    script = (
        "import sys; from clipcli.models import registry as catalogue;"
        "assert 'openai' in catalogue.pretrained_tags('RN50'); assert 'RN50' in catalogue.architecture_names();"
        "print(sorted({'torch', 'torchvision', 'open_clip', 'timm', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_reading_the_tables_leaves_safetensors_importable() -> None:
    script = (
        "from clipcli.models import registry as catalogue; catalogue.pretrained_tags('RN50');"
        "from safetensors.torch import load_file; print(load_file.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "load_file", done.stderr


def test_it_knows_every_architecture_and_tag_that_open_clip_knows() -> None:
    open_clip = import_open_clip()
    assert set(registry.architecture_names()) == set(open_clip.list_models())
    known = {(name, tag) for name in registry.architecture_names() for tag in registry.pretrained_tags(name)}
    assert known == {(name, tag) for name, tag in open_clip.list_pretrained() if name in open_clip.list_models()}


def test_every_recommended_tag_exists_and_is_on_the_hub() -> None:
    for name, tag in registry.USUAL_TAGS.items():
        assert registry.pretrained_tags(name)[tag]["hf_hub"]
        assert registry.usual_tag(name) == tag


def test_a_mistyped_name_is_answered_with_near_ones() -> None:
    with pytest.raises(ModelNotFoundError, match=r"no model 'vit-b32'; did you mean .*ViT-B-32"):
        registry.architecture("vit-b32")


def test_a_mistyped_pocket_is_answered_with_pocket() -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean pocket"):
        registry.architecture("poket")


def test_the_only_tag_is_taken_without_being_named() -> None:
    assert registry.usual_tag("ViT-B-16-SigLIP2") == "webli"


def test_one_of_several_tags_must_be_named() -> None:
    with pytest.raises(ModelError, match=r"choose its weights with --pretrained \(openai, laion400m_e31"):
        registry.usual_tag("ViT-B-32-quickgelu")


def test_an_architecture_without_tags_asks_for_a_file() -> None:
    with pytest.raises(ModelError, match="give a checkpoint file"):
        registry.usual_tag("ViT-S-32-alt")


@pytest.mark.parametrize(
    ("name", "mean", "resize_mode"),
    [
        ("ViT-B-32", OPENAI_MEAN, "shortest"),
        ("RN50", OPENAI_MEAN, "shortest"),
        ("ViT-B-16-SigLIP", [0.5, 0.5, 0.5], "squash"),
        ("ViT-B-16-SigLIP2", [0.5, 0.5, 0.5], "squash"),
        ("MobileCLIP-S1", [0.0, 0.0, 0.0], "shortest"),
    ],
)
def test_the_usual_preprocessing_is_that_of_the_family(name: str, mean: list[float], resize_mode: str) -> None:
    usual = registry.usual_preprocess(name)
    assert usual["mean"] == mean
    assert usual["resize_mode"] == resize_mode


def test_an_architecture_without_tags_has_no_usual_preprocessing() -> None:
    assert registry.usual_preprocess("ViT-S-32-alt") == {}
