"""``raydino doctor``: what this machine has, what is missing, and how to get it."""

from __future__ import annotations

from collections.abc import Iterator

# Extra of pyproject.toml → the module that shows that it is there, and what it is for.
_EXTRAS = {
    "cuda": ("xformers", "an attention backend on CUDA"),
    "pacs": ("pynetdicom", "ingest from a PACS by DICOMweb and DIMSE"),
    "dask": ("distributed", "ingest over a cluster"),
    "export": ("onnx", "ONNX export of encoders"),
    "ocr": ("rapidocr", "burned-in text"),
    "jpeg12": ("libjpeg", "12-bit JPEG (GPLv3)"),
}
_PACKAGES = (
    "raydino",
    "torch",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "scikit-learn",
    "transformers",
    "safetensors",
    "monai",
    "fairlearn",
    "pydicom",
    "pylibjpeg",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "pyjpegls",
    "python-gdcm",
    "pillow",
    "opencv-python-headless",
    "pydantic",
    "typer",
    "rich",
)


def doctor() -> None:
    """Show versions, processor and GPU, optional extras, and which plugin decodes each DICOM transfer syntax.

    Nothing is changed. What is missing stands with the command that installs it.
    """
    from raydino.commands.tables import print_table
    from raydino.dicom.syntaxes import syntaxes

    parts = {
        "machine": _machine(),
        "packages": _packages(),
        "optional extras": _extras(),
        "DICOM transfer syntaxes": syntaxes(),
    }
    for title, rows in parts.items():
        print_table(title, [rows])


def _machine() -> Iterator[tuple[str, str]]:
    import os
    import platform
    import sys

    import torch

    yield "Python", f"{platform.python_version()} ({sys.executable})"
    yield "system", f"{platform.system()} {platform.machine()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "CPU", f"{cores} cores, {torch.get_num_threads()} threads in torch, {torch.backends.cpu.get_cpu_capability()}"
    yield "bf16 on the CPU", _bf16_speed()
    if not torch.cuda.is_available():
        yield "CUDA", "no GPU that this torch can use"
        return
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        bf16 = "with" if torch.cuda.is_bf16_supported() else "without"
        yield f"CUDA device {index}", f"{card.name}, {card.total_memory / 2**30:.0f} GiB, {bf16} bf16"


def _bf16_speed() -> str:
    """bf16 against fp32 in a product of matrices, measured now: a flag of the CPU says less."""
    import time

    import torch

    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(768, 768, dtype=dtype)
        times = []
        for _ in range(8):
            start = time.perf_counter()
            matrix @ matrix
            times.append(time.perf_counter() - start)
        seconds[dtype] = sorted(times)[len(times) // 2]
    ratio = seconds[torch.float32] / seconds[torch.bfloat16]
    return f"{ratio:.1f} times the speed of fp32" + ("" if ratio > 1.2 else ": use fp32")


def _packages() -> Iterator[tuple[str, str]]:
    from importlib.metadata import PackageNotFoundError, version

    for name in _PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, f"missing: pip install {name}"


def _extras() -> Iterator[tuple[str, str]]:
    from importlib.util import find_spec

    for extra, (module, purpose) in _EXTRAS.items():
        state = "present" if find_spec(module) else f"absent: pip install 'raydino[{extra}]'"
        yield f"{extra}: {purpose}", state
