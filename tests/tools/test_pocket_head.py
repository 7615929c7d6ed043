"""The head that `pocket` is trained with, and open_clip's layers that it is saved as."""

from __future__ import annotations

import torch
from tools.pocket.bank import FREE, Axes, Seen
from tools.pocket.evidence import AXES, LinearMap, first_model_map, fit_evidence, names_map
from tools.pocket.head import HIDDEN, JOINT, WIDTH, Head
from tools.pocket.moved import SURE, Mover
from torch.nn import functional

CLASSES, FEATURES = HIDDEN - FREE - AXES, 520


def test_the_exported_layers_give_what_the_head_gives() -> None:
    torch.manual_seed(0)
    features = torch.rand(600, FEATURES)
    rows, names = torch.randn(CLASSES, FEATURES), functional.normalize(torch.randn(CLASSES, JOINT), dim=1)
    axes = Axes(features, rows, torch.randn(CLASSES))
    head = Head(CLASSES).eval()
    head.start_from(names)
    logits = axes.seen(features).logits
    head.set_evidence(fit_evidence(names_map(rows, names, logits), logits))
    layers = head.layers(axes)
    hidden = functional.gelu(functional.linear(features[:5], layers["fc1.weight"], layers["fc1.bias"]))
    out = functional.linear(hidden, layers["fc2.weight"], layers["fc2.bias"])
    assert out.shape == (5, WIDTH)
    assert not out[:, JOINT:].any()
    with torch.no_grad():
        torch.testing.assert_close(out[:, :JOINT], head(axes.seen(features[:5])), rtol=1e-3, atol=1e-2)


def test_a_wider_head_gives_the_same_on_the_first_axes_and_nothing_on_the_others() -> None:
    torch.manual_seed(0)
    seen = Seen(torch.randn(5, FREE), torch.randn(5, 10))
    head = Head(10).eval()
    wide = head.widened(JOINT + 3).eval()
    with torch.no_grad():
        torch.testing.assert_close(wide(seen)[:, :JOINT], head(seen))
        assert not wide(seen)[:, JOINT:].any()


def test_names_have_the_cosines_of_the_classifier_with_mapped_pictures() -> None:
    torch.manual_seed(0)
    features, rows = torch.rand(50, 32), torch.randn(10, 32)
    names, logits = functional.normalize(torch.randn(10, 300), dim=1), features @ rows.T
    mapped = names_map(rows, names, logits).apply(logits)
    directions = functional.normalize(rows - rows.mean(dim=0), dim=1)
    own = (features - features.mean(dim=0)) @ directions.T
    found = mapped @ (names - names.mean(dim=0)).T
    assert torch.corrcoef(torch.stack([own.flatten(), found.flatten()]))[0, 1] > 0.95


def test_the_first_models_image_vector_is_a_linear_map_of_the_logits() -> None:
    torch.manual_seed(0)
    features, rows, bias = torch.rand(50, 32), torch.randn(10, 32), torch.randn(10)
    directions = functional.normalize(rows - rows.mean(dim=0), dim=1)
    projection, shift = torch.linalg.svd(directions, full_matrices=False)[2][:8], torch.randn(8)
    mapped = first_model_map(rows, bias, projection, shift).apply(features @ rows.T + bias)
    torch.testing.assert_close(mapped, features @ projection.T + shift, rtol=1e-3, atol=1e-3)


def test_evidence_on_few_axes_gives_what_the_whole_map_gives() -> None:
    torch.manual_seed(0)
    logits, wanted = torch.randn(50, 10), LinearMap(torch.randn(6, 10), torch.randn(6))
    evidence = fit_evidence(wanted, logits)
    found = (logits - evidence.mean) @ evidence.plane @ evidence.out.T + evidence.offset
    torch.testing.assert_close(found, wanted.apply(logits), rtol=1e-3, atol=1e-3)


def test_moved_logits_are_as_sure_of_their_class_as_a_photograph() -> None:
    generator = torch.Generator().manual_seed(0)
    features, rows = torch.rand(200, 32, generator=generator), torch.randn(10, 32, generator=generator)
    mover = Mover(rows, torch.zeros(10), features)
    classes = torch.arange(10)
    logits = features[:10] @ rows.T
    moved = mover.move(logits, classes, generator)
    before, after = (torch.softmax(each, dim=1)[classes, classes] for each in (logits, moved))
    assert ((after > SURE[0] - 0.01) & (after < SURE[1] + 0.01)).all()
    assert after.mean() > before.mean() + 0.2
