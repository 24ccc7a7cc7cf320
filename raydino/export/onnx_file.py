"""Export to ONNX, proved by running onnxruntime on it. Needs ``pip install "raydino[export]"``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from raydino.artifacts.encoder import ONNX_EXPORT, write_encoder_card
from raydino.artifacts.header import creating
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.export.graph import BATCH, trace
from raydino.export.proof import Run, largest_difference

ONE_FILE_BYTES = 2**30  # protobuf ends at 2 GiB; larger weights lie beside the graph, in encoder.onnx.data


def require_onnx() -> None:
    """Raise UserError where a package of the extra ``export`` is missing."""
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"export to ONNX needs {', '.join(missing)}",
            remedy='install what is missing: pip install "raydino[export]"',
        )


def export_onnx(source: str | Path, target: Path, *, overwrite: bool = False) -> float:
    """Write ``encoder.onnx``; returns the largest difference of onnxruntime's tokens."""
    require_onnx()
    encoder = Encoder.load(source)
    size = sum(parameter.nbytes for parameter in encoder.parameters())
    names = ["cls", "registers", "patches"] if encoder.spec.n_registers else ["cls", "patches"]
    with creating(target, ONNX_EXPORT, inputs={"encoder": encoder.spec.fingerprint}, overwrite=overwrite) as partial:
        with _quiet():
            program = torch.onnx.export(
                trace(encoder), input_names=["images"], output_names=names, dynamic_shapes=BATCH, verbose=False
            )
        assert program is not None
        for node in program.model.graph.all_nodes():
            node.metadata_props.clear()  # names of modules and where in our source each line stands
        program.save(partial / "encoder.onnx", external_data=size > ONE_FILE_BYTES)
        write_encoder_card(partial, encoder.card)
        return largest_difference(Encoder.load(source), run_onnx(partial / "encoder.onnx"))


def run_onnx(path: Path) -> Run:
    """onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(images: Tensor) -> dict[str, Tensor]:
        values = session.run(names, {"images": images.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(names, values, strict=True)}

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch.onnx's remarks on torchvision, which nobody here needs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
