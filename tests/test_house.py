"""The house: who may import whom, what starts quickly, and what never comes in."""

import ast
import functools
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import audiocnn

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "audiocnn"

# Each may import those before it. A new module needs a place here (and in DESIGN.md).
CORE = (
    "errors", "names", "locking", "replacing", "allocating", "sliding",
    "blocks", "forward", "decoding", "audio", "excerpts", "arrays",
    "rows", "row_files", "archives", "series", "evenness", "missing", "channels", "mel", "fronts",
    "signals", "held", "model_input", "finding", "engine", "scoring", "events", "tables",
    "start_times", "formats", "annotations", "clip", "row_labels",
    "strong_labels", "layouts", "manifest", "grouping", "reviews", "rates", "reliability",
    "evaluation", "onnx_safety", "selfcheck", "bundle", "bundle_writing", "listening",
    "embedding", "fewshot",
)  # fmt: skip
# Each may import the core and these other leaves.
LEAVES: dict[str, set[str]] = {
    "models": set(),
    "training": {"judging", "models"},
    "streaming": set(),
    "labeling": set(),
    "judging": {"labeling"},
    "commands": {"judging", "labeling", "streaming", "training"},
}
FRONT_DOORS = {"arguments", "cli", "__main__"}  # import what they like; nothing imports them

TORCH_SIDE = {"models", "training"}
# What a plain `pip install audiocnn` brings, as it is imported, and the few
# modules that may ask for an optional package.
RUNTIME = {"numpy", "scipy", "soundfile", "soxr", "onnxruntime", "rich"}
OPTIONAL = {
    "sounddevice": {"streaming.portaudio"},
    "av": {"decoding"},
    "PIL": {"labeling.picture", "training.report.drawing"},
    "pyarrow": {"formats.parquet", "labeling.vectors", "row_files"},
    "sed_eval": {"judging.detection"},
    "sed_scores_eval": {"judging.detection"},
    "paho": {"streaming.sinks.mqtt"},
    "ray": {"labeling.cluster"},
    "fsspec": {"labeling.remote"},
}
PICKLES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}

MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = [
    path for path in sorted((ROOT / "scripts").iterdir())
    if path.is_file() and re.match(rb"#!.*python", path.read_bytes()[:80])
]  # fmt: skip


def name_of(path: Path) -> str:
    """audiocnn/models/layers.py is "models.layers"; audiocnn/__init__.py is ""."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__")


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every import in a file, also inside functions: dotted name and line."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: relative imports hide who imports whom"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def ours(dotted: str) -> str | None:
    """Which part of the house an import reaches; "" for the package itself."""
    if dotted.split(".")[0] != "audiocnn":
        return None
    part = dotted.split(".")[1] if "." in dotted else ""
    return part if part in {*CORE, *LEAVES, *FRONT_DOORS} else ""


def test_every_module_has_its_place() -> None:
    parts = {name_of(path).split(".")[0] for path in MODULES} - {""}
    assert parts <= {*CORE, *LEAVES, *FRONT_DOORS}, "give it a place in the house, and in CORE here"


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p)], ids=name_of)
def test_imports_point_upward(path: Path) -> None:
    part = name_of(path).split(".")[0]
    if part in FRONT_DOORS:
        return
    above = {*CORE} | LEAVES[part] if part in LEAVES else {*CORE[: CORE.index(part)]}
    allowed = above | {part}
    for dotted, line in imports(path):
        reached = ours(dotted)
        if reached == "":
            assert dotted == "audiocnn.__version__", (
                f"{path}:{line}: {dotted} is not in the house; inside it, import from the module"
            )
        elif reached is not None:
            assert reached in allowed, f"{path}:{line}: {part} must not know {reached}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_outside_imports_are_installed(path: Path) -> None:
    name = name_of(path)
    for dotted, line in imports(path):
        root = dotted.split(".")[0]
        if root == "audiocnn" or root in sys.stdlib_module_names:
            continue
        if root in OPTIONAL:
            assert name in OPTIONAL[root], f"{path}:{line}: {root} is for {OPTIONAL[root]}"
        elif name.split(".")[0] not in TORCH_SIDE:
            assert root in RUNTIME, f"{path}:{line}: {root} does not come with a plain install"


@pytest.mark.parametrize("path", [*MODULES, *SCRIPTS], ids=lambda path: path.stem)
def test_no_pickle(path: Path) -> None:
    for dotted, line in imports(path):
        assert dotted.split(".")[0] not in PICKLES, f"{path}:{line}: {dotted}"
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.Call):
            continue
        options = {keyword.arg: keyword.value for keyword in node.keywords}
        allow = options.get("allow_pickle", ast.Constant(value=False))
        assert ast.unparse(allow) == "False", f"{path}:{node.lineno}: allow_pickle"
        if ast.unparse(node.func) == "torch.load":
            assert ast.unparse(options["weights_only"]) == "True", f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_stay_small(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= 300
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= 40, f"{path}:{node.lineno}: {node.name} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_all_is_sorted(path: Path) -> None:
    for node in parse(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
            assert list(names) == sorted(names)


def test_public_names_are_what_they_say() -> None:
    for path in MODULES:
        if name_of(path) in CORE:  # a module must not hide a function of its name
            importlib.import_module(f"audiocnn.{name_of(path)}")
    assert audiocnn.__all__
    for name in audiocnn.__all__:
        assert callable(getattr(audiocnn, name)), f"audiocnn.{name} is a module"


def loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after it ran the code."""
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    result = subprocess.run(
        [sys.executable, "-c", f"{report}; {code}"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return {name.split(".")[0] for name in result.stderr.split()}


SLOW = {"librosa", "lightning", "onnxruntime", "scipy", "sounddevice", "torch", "torchaudio"}


def test_package_starts_quickly() -> None:
    assert not loaded_by("import audiocnn") & (SLOW | {"numpy"})


def test_help_starts_quickly() -> None:
    code = "sys.argv[1:] = ['--help']; from audiocnn.cli import main; sys.exit(main())"
    assert not loaded_by(code) & SLOW


def test_version_is_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d\S*)\] - (?:unreleased|\d{4}-\d\d-\d\d)$", changelog, re.M)
    assert versions[0] == audiocnn.__version__


def test_runtime_needs_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"\W", requirement)[0] for requirement in project["dependencies"]}
    assert names == RUNTIME | {"sounddevice"}


def test_every_pin_has_a_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins
