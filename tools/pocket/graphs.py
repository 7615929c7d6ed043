"""Make the graphs that ship beside the weights of ``pocket``: to be run again whenever the weights change.

    python -m tools.pocket.graphs --model src/clipcli/models/pocket

The graphs refer to the weights file for all large tensors. They are made with the oldest OpenVINO that pyproject.toml
allows, because each OpenVINO reads the graphs of older ones.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from clipcli.models.mapped_weights import mapped_tensors
from clipcli.models.model import open_model
from clipcli.models.openvino_conversion import convert_image_encoder, convert_text_encoder
from clipcli.models.openvino_graphs import write_graph_files
from clipcli.models.openvino_runtime import keep_graph
from clipcli.models.resolve import resolve_model
from clipcli.models.source import ModelSource
from clipcli.storage.checksums import hash_file

__all__ = ["main", "write_graphs"]


def write_graphs(source: ModelSource, folder: Path) -> None:
    """Write ``folder/image`` and ``folder/text``, in place of what is there."""
    model, tensors = open_model(source, "cpu", "fp32"), mapped_tensors(source.checkpoint)

    def sha256_of(path: Path) -> str:
        return hash_file(path).hex()

    for encoder, graph, made_of in (
        ("image", convert_image_encoder(model), source.image_fingerprint(sha256_of, "graph")),
        ("text", convert_text_encoder(model), source.fingerprint(sha256_of)),
    ):
        shutil.rmtree(folder / encoder, ignore_errors=True)
        (folder / encoder).mkdir(parents=True)
        keep_graph(graph, folder / encoder, tensors, made_of, write_graph_files)


def main() -> None:
    """Parse the options and write the graphs into the folder of the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    folder: Path = parser.parse_args().model
    source = resolve_model(str(folder))
    write_graphs(replace(source, name="pocket"), folder / "graphs")


if __name__ == "__main__":
    main()
