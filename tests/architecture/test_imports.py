"""The house stands as docs/architecture.md draws it: imports go downwards only.

Read from the source (ast), so that an import inside a function counts as well, except in the command
files, which compose.
"""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import raydino

ROOT = Path(raydino.__file__).resolve().parent.parent
PACKAGES = ("raydino", "adapters", "bias_audit")

# Layers of raydino, top first. A module may import from its own layer's folder and from lower layers.
LAYERS = (
    ("cli", "__main__", "demo", "commands", "testing"),
    ("ssl", "curation"),
    ("train",),
    ("encoder", "features", "readout", "export", "weights"),
    ("data",),
    ("nn", "dicom", "phantom"),
    ("readers",),
    ("artifacts", "tracking"),
    ("config", "registry", "processes"),
    ("errors",),
)
ALLOWED_OUTSIDE = {
    "adapters": {
        "errors",
        "config",
        "registry",
        "artifacts",
        "encoder",
        "features",
        "readout",
        "data",
        "nn",
        "train",
        "tracking",
    },
    "bias_audit": {"errors", "config", "registry", "artifacts", "tracking"},
}
ALLOWED_TO_SERVING = {"processes", "readers"}  # a service takes files of others, and talks to a PACS


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Dotted names of the project's own modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if name.split(".")[0] in PACKAGES}


def place(dotted: str) -> tuple[str, str]:
    """(package, first name below it); the package's own ``__init__`` counts as ``__init__``."""
    parts = dotted.split(".")
    return parts[0], parts[1] if len(parts) > 1 else "__init__"


def layer_of(name: str) -> int:
    found = [level for level, names in enumerate(LAYERS) if name in names]
    assert found, f"raydino.{name} stands in no layer; add it to LAYERS and to docs/architecture.md"
    return found[0]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downwards(path):
    package, name = place(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for dotted in imported(path):
        other_package, other = place(dotted)
        if other_package == "raydino" and other == "__version__":
            continue
        if package != other_package:
            assert other_package == "raydino", f"{path.name} of {package} imports {dotted}"
            if not (name == "commands" and package != "raydino"):
                serves = (package, name) == ("adapters", "serving")
                allowed = ALLOWED_OUTSIDE[package] | (ALLOWED_TO_SERVING if serves else set())
                assert other in allowed, f"{package} may not import {dotted}"
        elif package == "raydino" and name != other and name != "__init__":
            assert layer_of(name) < layer_of(other) or {name, other} <= set(LAYERS[0]) | set(LAYERS[3]), (
                f"raydino.{name} may not import {dotted}"
            )


def test_the_three_packages_come_from_one_tree():
    """PyPI holds another project whose import name is ``adapters``."""
    for package in PACKAGES:
        found = Path(importlib.import_module(package).__file__ or "").resolve().parent.parent
        assert found == ROOT


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("raydino.ssl.run", ("pydicom", "monai", "transformers")),
        ("raydino.encoder", ("pydicom", "monai", "transformers")),
        ("adapters.reading", ("monai", "transformers")),
        ("bias_audit.commands", ("torch",)),
        ("bias_audit.audit", ("torch", "pydicom", "adapters")),
        ("raydino.dicom.ingest", ("torch", "transformers", "monai")),
    ],
)
def test_what_a_module_drags_in(module, forbidden):
    code = f"import sys, {module}; print([m for m in {forbidden!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_functions_fit_a_screen_and_files_stay_small():
    for path in modules():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 350, f"{path} is too long"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno <= 70, f"{path}: {node.name} is too long"


def test_every_file_says_what_it_is():
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if tree.body:
            assert ast.get_docstring(tree), f"{path} has no docstring"
