"""Finish a run: write the model folder, the curve and the summary."""

from __future__ import annotations

from importlib.util import find_spec

from clipcli.log import LOG
from clipcli.models.build import load_network
from clipcli.training.base_model import Start
from clipcli.training.model_folder import interpolated, model_card, write_model
from clipcli.training.prepare import Plan
from clipcli.training.request import Measures, Outcome
from clipcli.training.run_folder import TrainingFolder
from clipcli.training.trainer import Training

__all__ = ["finish"]


def finish(
    start: Start,
    training: Training,
    plan: Plan,
    folder: TrainingFolder,
    best_epoch: int,
    epochs: int,
) -> Outcome:
    """Write the model with the best weights, interpolated with the initial ones if requested."""
    weights = folder.load_best(start.network)
    measures = _measured(training, best_epoch)
    share = plan.settings.interpolate
    if share != 1.0:
        weights = interpolated(load_network(start.source)[0].state_dict(), weights, share)
        start.network.load_state_dict(weights)
        if plan.held_out is not None:
            measures.append((f"saved ({share:g} of it)", training.validate().as_json))
    if not best_epoch or not share:  # these are the initial weights, which the images did not change
        folder.write_images(start.source.checkpoint.parent)
    write_model(folder.root, start, weights, model_card(plan.record, measures))
    _draw(folder, plan, training)
    summary = {"measures": measures, "best_epoch": best_epoch, "epochs": epochs, "left_out": plan.left_out}
    folder.write_json("summary.json", summary)
    folder.drop_state()
    return Outcome(measures, plan.left_out, best_epoch, plan.record["validation"])


def _measured(training: Training, best_epoch: int) -> list[tuple[str, Measures]]:
    """Return the measures of the initial weights and of the best epoch."""
    rows = {row["epoch"]: row["validation"] for row in training.metrics.rows() if "validation" in row}
    chosen = dict.fromkeys((0, best_epoch))
    return [(f"epoch {epoch}" if epoch else "start", rows[epoch]) for epoch in chosen if epoch in rows]


def _draw(folder: TrainingFolder, plan: Plan, training: Training) -> None:
    if find_spec("matplotlib") is None:
        LOG.warning("no training curve is drawn: it needs an extra (pip install 'clipcli[train]')")
        return
    from clipcli.reports.matplotlib_figures import save_as
    from clipcli.training.curve import draw_curve

    title = f"{plan.record['model']}, {plan.record['train']} images"
    save_as(draw_curve(training.metrics.rows(), title), folder.file("loss.png"))
