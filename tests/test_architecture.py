"""The house rules, proved on the syntax trees: which room imports which, and who may load torch."""

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from f2rcli import methods
from tests.sources import PACKAGE, nodes_of, parsed

ROOMS = (
    {"errors", "frames", "system"},
    {"settings", "units"},
    {"window", "yuv", "planes"},
    {"samples"},
    {"io", "noise", "weights", "models"},
    {"methods"},
    {"engine"},
    {"evaluation", "batch", "export"},
    {"training"},
    {"api"},
    {"cli", "napari"},
)
TESTS = Path(__file__).parent
DEEP_DOORS = ("f2rcli.cli.app.", "f2rcli.models.", "f2rcli.methods.")
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
LIGHT = {
    "errors", "frames", "system", "settings", "units", "window",
    "yuv", "planes", "samples", "io", "batch", "api", "cli",
}  # fmt: skip
FETCHERS = {
    "urllib", "http", "ftplib", "socket", "requests", "httpx", "aiohttp", "urllib3",
    "huggingface_hub", "gdown", "wget", "boto3", "webbrowser",
}  # fmt: skip
CODE_LOADERS = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}


@cache
def modules() -> list[tuple[str, Path, ast.Module]]:
    """Room, path and syntax tree of every module of the package."""
    return [
        (path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path, parsed(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


@cache
def nodes() -> list[tuple[str, Path, list[ast.AST]]]:
    """The same, with every node of the tree."""
    return [(room, path, nodes_of(path)) for room, path, _ in modules()]


@cache
def imports() -> list[tuple[str, Path, list[str]]]:
    """Room and path of every module, and all that it may import anywhere."""
    return [
        (room, path, [name for node in every for name in imported(node)])
        for room, path, every in nodes()
    ]


def imported(node: ast.AST) -> list[str]:
    """Full names an import statement may name: `from x import y` gives x and x.y."""
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        base = node.module or ""
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def when_imported(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes that run when the module is imported: not function bodies, nor TYPE_CHECKING blocks."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending.extend(node.orelse)
            continue
        yield node
        pending.extend(ast.iter_child_nodes(node))


def test_imports_point_one_way() -> None:
    upward = [
        f"{path.relative_to(PACKAGE)} -> {name}"
        for room, path, names in imports()
        if room in LEVEL
        for name in names
        if name.startswith("f2rcli.") and LEVEL.get(name.split(".")[1], -1) > LEVEL[room]
    ]
    assert not upward


def test_every_module_lives_in_a_known_room() -> None:
    rooms = {room for room, _, _ in modules()}
    assert rooms <= set(LEVEL) | {"__init__", "__main__"}


def test_io_knows_nothing_of_its_siblings() -> None:
    strangers = [
        f"{path.relative_to(PACKAGE)} -> {name}"
        for room, path, names in imports()
        if room == "io"
        for name in names
        if name.startswith(("f2rcli.models", "f2rcli.noise", "f2rcli.weights"))
    ]
    assert not strangers


def test_the_contract_of_formats_and_those_without_codecs_load_no_ffmpeg() -> None:
    """Still pictures are the exception: FFmpeg's codecs decode PNG, JPEG, EXR and the rest."""
    without = ["base", "files", "numbering", "raw", "stacks"]
    modules = ", ".join(f"f2rcli.io.{name}" for name in without)
    script = (
        f"import sys, {modules}\n"
        "rooms = ('video', 'images')\n"
        "ours = [f'f2rcli.io.{room}' for room in rooms]\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'av' or name in ours])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_formats_lean_on_the_contract_and_not_on_each_other() -> None:
    """The exceptions: microscopes' stacks become OME-TIFF, DNG is read and written by tifffile,
    and still pictures are decoded and encoded as videos' are."""
    allowed = {
        "microscopy": {"tiff"}, "raw": {"tiff"}, "images": {"video"},
    }  # fmt: skip
    folders = {path.name for path in (PACKAGE / "io").iterdir() if path.is_dir()}
    strangers = [
        f"{path.relative_to(PACKAGE)} -> {name}"
        for room, path, names in imports()
        if room == "io" and path.parent.name in folders
        for name in names
        if name.startswith("f2rcli.io.")
        and name.split(".")[2]
        in folders - {path.parent.name} - allowed.get(path.parent.name, set())
    ]
    assert not strangers


def test_light_rooms_name_torch_nowhere_at_import() -> None:
    leaks = [
        str(path.relative_to(PACKAGE))
        for room, path, tree in modules()
        if room in LIGHT
        for node in when_imported(tree)
        for name in imported(node)
        if name.split(".")[0] in {"torch", "torchvision"}
    ]
    assert not leaks


def test_nothing_fetches_from_a_network() -> None:
    fetchers = [
        f"{path.relative_to(PACKAGE)} -> {name}"
        for _, path, names in imports()
        for name in names
        if name.split(".")[0] in FETCHERS or name.startswith("torch.hub")
    ]
    assert not fetchers


def test_no_file_is_loaded_in_a_way_that_runs_code() -> None:
    loaders = [
        f"{path.relative_to(PACKAGE)} -> {name}"
        for _, path, names in imports()
        for name in names
        if name.split(".")[0] in CODE_LOADERS
    ]
    loaders += [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {ast.unparse(node)}"
        for _, path, every in nodes()
        for node in every
        if isinstance(node, ast.Call) and runs_code(node)
    ]
    assert not loaders


def runs_code(call: ast.Call) -> bool:
    """Whether a call is one that may execute what it reads."""
    keywords = {word.arg: ast.unparse(word.value) for word in call.keywords}
    match ast.unparse(call.func):
        case "torch.load":
            return keywords.get("weights_only") != "True"
        case "np.load" | "numpy.load":
            return keywords.get("allow_pickle", "False") != "False"
        case "eval" | "exec" | "os.system" | "torch.hub.load":
            return True
    return keywords.get("shell") == "True"


def test_no_blanket_handlers_star_imports_or_lumber_rooms() -> None:
    for _, path, every in nodes():
        assert path.stem not in {"utils", "helpers", "common", "core", "misc"}, path
        for node in every:
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                cleans_up = ast.unparse(node.body[-1]) == "raise"
                assert cleans_up or caught not in {"everything", "Exception", "BaseException"}, path
            if isinstance(node, ast.ImportFrom):
                assert all(alias.name != "*" for alias in node.names), path


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(PACKAGE))
        for _, path, tree in modules()
        if path.name != "__init__.py" and not ast.get_docstring(tree)
    ]
    assert not silent


def doors_only(path: Path) -> bool:
    """Whether a file of tests reaches f2r through its doors alone: the package's own names, a
    room's, or a module that stands for one thing a user could name; and no private names."""
    names = [name for node in when_imported(parsed(path)) for name in imported(node)]
    ours = [name for name in names if name.startswith("f2rcli.")]
    private = [name for name in ours if any(part.startswith("_") for part in name.split("."))]
    deep = [name for name in ours if name.count(".") > 2 and not name.startswith(DEEP_DOORS)]
    return not private and not deep


def test_the_share_of_tests_at_doors_is_told() -> None:
    counted = Counter[bool]()
    for path in sorted(TESTS.rglob("test_*.py")):
        tests = sum(
            isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
            for node in parsed(path).body
        )
        counted[doors_only(path)] += tests
    share = counted[True] / counted.total()
    print(f"tests at doors: {share:.0%} of {counted.total()}")
    assert share > 0.55


@pytest.fixture(scope="module")
def light_names() -> list[str]:
    names = []
    for room, path, _ in modules():
        if room in LIGHT:
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            names.append(".".join(part for part in parts if part != "__init__"))
    return names


def test_importing_every_light_module_loads_no_torch(light_names: list[str]) -> None:
    script = (
        "import importlib, sys\n"
        f"for name in {light_names!r}: importlib.import_module(name)\n"
        "print(sorted(n for n in sys.modules if n.split('.')[0] in {'torch', 'cv2'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_help_takes_little_work_and_loads_no_torch() -> None:
    """Processor time, not the clock: the machine may be busy, the program may not be slow."""
    command = [sys.executable, "-X", "importtime", "-m", "f2rcli", "--help"]
    before = os.times().children_user  # 0 on Windows, which counts no children
    done = subprocess.run(command, capture_output=True, text=True)
    assert os.times().children_user - before < 2.0
    assert done.returncode == 0, done.stderr
    assert "denoise" in done.stdout
    assert not [line for line in done.stderr.splitlines() if line.split("|")[-1].strip() == "torch"]


@pytest.mark.parametrize("method", sorted({*methods.available()} - {methods.DEFAULT}))
def test_a_sister_method_can_be_removed(method: str) -> None:
    """Its modules are imported by one another only; f2r finds it by the names of its files."""
    own = [f"f2rcli.{room}.{method}" for room in ("methods", "training.methods")]

    def is_own(name: str) -> bool:
        return any(name == module or name.startswith(f"{module}.") for module in own)

    for _, path, names in imports():
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if not is_own(".".join(parts)):
            assert not [name for name in names if is_own(name)], path
