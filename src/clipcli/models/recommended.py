"""A dozen models to choose from, by what they are needed for.

Every figure is a published one; what could not be checked is left out. Parameters and zero-shot top-1 accuracies on
ImageNet are from open_clip's tables (``docs/openclip_results.csv`` and ``docs/model_profile.csv``), those of
MobileCLIP2 from its model card. Licences are those of the model cards on the Hugging Face hub.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MODELS", "Recommendation", "hub_hint", "recommendation"]

_FAST, _MEDIUM, _SLOW, _SLOWEST = "fast", "medium", "slow", "very slow"
_RESEARCH = "apple-amlr (research only)"


@dataclass(frozen=True)
class Recommendation:
    """A model and what helps to choose it.

    Parameters
    ----------
    name, tag
        As for ``--model`` and ``--pretrained``; ``tag`` is empty for a model that has none.
    good_for
        The need that it serves.
    speed
        Class of the image encoder's work for one image: ``fast`` up to 15 GFLOP, ``medium`` up to 60, ``slow`` up to
        200, else ``very slow``.
    parameters
        Millions of parameters of both encoders, ``None`` if unknown.
    imagenet
        Zero-shot top-1 accuracy on ImageNet in percent, ``None`` if unknown or not comparable.
    licence
        Licence of the weights, empty if unknown.
    note
        A warning, or how to get the weights; empty without any.
    """

    name: str
    tag: str
    good_for: str
    speed: str
    parameters: int | None = None
    imagenet: float | None = None
    licence: str = ""
    note: str = ""


MODELS = (
    Recommendation("pocket", "", "first steps, without a download", _FAST, 24, None, "apache-2.0",
                   "its image encoder was trained on ImageNet, so its accuracy there is not comparable"),
    Recommendation("MobileCLIP2-S0", "dfndr2b", "speed on a laptop", _FAST, 75, 71.5, _RESEARCH),
    Recommendation("ViT-B-32-256", "datacomp_s34b_b86k", "most tasks (default)", _FAST, 151, 72.8, "mit"),
    Recommendation("MobileCLIP2-S2", "dfndr2b", "accuracy on a laptop", _FAST, 99, 77.2, _RESEARCH),
    Recommendation("ViT-B-16", "datacomp_xl_s13b_b90k", "smaller objects", _MEDIUM, 150, 73.5),
    Recommendation("ViT-L-14", "datacomp_xl_s13b_b90k", "accuracy", _SLOW, 428, 79.2),
    Recommendation("ViT-L-14-quickgelu", "dfn2b", "accuracy", _SLOW, 428, 81.4, _RESEARCH),
    Recommendation("ViT-SO400M-14-SigLIP-384", "webli", "accuracy, on a GPU", _SLOWEST, 878, 83.1, "apache-2.0"),
    Recommendation("ViT-H-14-378-quickgelu", "dfn5b", "the highest accuracy, on a GPU", _SLOWEST, 987, 84.4, _RESEARCH),
    Recommendation("ViT-B-16-SigLIP2-256", "webli", "other languages", _MEDIUM, None, None, "apache-2.0"),
    Recommendation("ViT-SO400M-16-SigLIP2-384", "webli", "other languages, on a GPU", _SLOWEST, None, None,
                   "apache-2.0"),
    Recommendation("xlm-roberta-base-ViT-B-32", "laion5b_s13b_b90k", "other languages", _FAST, 366, 62.4),
    Recommendation("hf-hub:imageomics/bioclip", "", "species", _MEDIUM, 150, None, "mit"),
    Recommendation("ViT-L-14", "RemoteCLIP-ViT-L-14.pt", "satellite and aerial images", _SLOW, 428, None, "",
                   "download RemoteCLIP-ViT-L-14.pt from https://huggingface.co/chendelong/RemoteCLIP"),
    Recommendation("hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224", "", "medical research", _MEDIUM,
                   None, None, "mit", "for research only: never use it for diagnosis or treatment"),
)  # fmt: skip
"""From fast to accurate, then those for a special need."""

_OF_TRANSFORMERS = {
    "openai/clip-vit-base-patch32": "--model ViT-B-32 --pretrained openai",
    "openai/clip-vit-base-patch16": "--model ViT-B-16 --pretrained openai",
    "openai/clip-vit-large-patch14": "--model ViT-L-14 --pretrained openai",
    "openai/clip-vit-large-patch14-336": "--model ViT-L-14-336 --pretrained openai",
    "google/siglip-base-patch16-224": "--model ViT-B-16-SigLIP",
    "google/siglip-so400m-patch14-384": "--model ViT-SO400M-14-SigLIP-384",
    "google/siglip2-base-patch16-256": "--model ViT-B-16-SigLIP2-256",
    "google/siglip2-so400m-patch16-384": "--model ViT-SO400M-16-SigLIP2-384",
}


def recommendation(name: str, tag: str = "") -> Recommendation | None:
    """Return what is known of a model; without a tag, of the first of that name."""
    return next((each for each in MODELS if each.name == name and tag in ("", each.tag)), None)


def hub_hint(name: str) -> str | None:
    """Return the options for a name that is a repository of the hub, ``None`` for any other name."""
    if name in _OF_TRANSFORMERS:
        return _OF_TRANSFORMERS[name]
    owner, separator, repository = name.partition("/")
    return f"--model hf-hub:{name}" if separator and owner and repository and "/" not in repository else None
