"""Mutation testing of the core modules: does a test fail when a line is wrong?

    pip install -e '.[mutation]'
    python benchmarks/mutation.py [--only yuv window] [--sample 30] [--seed 1] [--limit 60]
    python benchmarks/mutation.py --listed

Small faults are put into a copy of the tree, one at a time: + for -, < for <=, a number one higher,
a statement left out. For each the module's nearest tests run; a fault that no test notices has
survived. Cosmic Ray makes the faults. Its runner starts a new Python for every fault, three
seconds of importing torch each, so this one forks a process that has the libraries loaded. POSIX
only. equivalent.toml lists faults that cannot be seen from outside, with the reason; --listed runs
just these, which all must survive.
"""

import argparse
import ast
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).parents[1]
PARTS = ("f2rcli", "tests", "examples", "weights", "pyproject.toml", "README.md")
LIBRARIES = ("av", "cv2", "hypothesis", "numpy", "pytest", "scipy.ndimage", "tifffile", "torch")

OPTIONS = (
    "-x", "-q", "-p", "no:cacheprovider",
    "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning",  # hypothesis
)  # fmt: skip

# Module -> its nearest tests.
TARGETS: dict[str, tuple[str, ...]] = {
    "window.py": ("tests/test_window.py",),
    "yuv.py": ("tests/test_yuv_reference.py", "tests/test_yuv.py"),
    "sensor.py": ("tests/test_sensor.py",),
    "weights.py": ("tests/test_weights_bundled.py",),
    "models/flow.py": ("tests/models/test_flow.py", "tests/models/test_motion.py"),
    "models/fusion.py": ("tests/models/test_fusion.py", "tests/models/test_layers.py"),
    "models/memory.py": ("tests/models/test_memory_reference.py", "tests/models/test_memory.py"),
    "methods/f2r/alignment.py": ("tests/methods/test_f2r_reference.py",),
    "methods/f2r/flows.py": ("tests/methods/test_f2r_reference.py",),
    "methods/f2r/pipeline.py": ("tests/methods/test_f2r_reference.py", "tests/methods/test_f2r.py"),
    "engine/strength.py": ("tests/engine/test_strength.py",),
    "engine/tiles.py": ("tests/engine/test_tiles.py",),
    "engine/contract/chroma.py": ("tests/engine/test_chroma.py",),
    "engine/contract/debias.py": ("tests/engine/test_debias.py",),
    "engine/contract/frame_points.py": ("tests/engine/test_frame_points.py",),
    "engine/contract/limits.py": ("tests/engine/test_contract_reference.py",),
    "engine/contract/losses.py": ("tests/engine/test_losses.py",),
    "engine/contract/outliers.py": ("tests/engine/test_outliers.py",),
    "engine/contract/points.py": ("tests/engine/test_points.py",),
    "engine/contract/residual.py": ("tests/engine/test_residual.py",),
    "engine/contract/returned.py": ("tests/engine/test_returned.py",),
    "engine/contract/shift.py": ("tests/engine/test_residual.py", "tests/engine/test_contract.py"),
    "engine/contract/shrinkage.py": ("tests/engine/test_shrinkage.py",),
    "engine/contract/steady.py": ("tests/engine/test_steady.py", "tests/engine/test_residual.py"),
    "engine/contract/still/__init__.py": ("tests/engine/test_still.py",),
    "engine/contract/still/aside.py": ("tests/engine/test_aside.py",),
    "engine/contract/still/supported.py": ("tests/engine/test_supported.py",),
    "engine/dim/choice.py": ("tests/engine/test_dim.py",),
    "engine/dim/missed.py": ("tests/engine/test_dim.py",),
    "engine/dim/sums.py": ("tests/engine/test_sums.py", "tests/engine/test_dim.py"),
    "engine/dim/written.py": ("tests/engine/test_dim.py",),
    "engine/gpu/clipping.py": ("tests/engine/test_gpu.py", "tests/engine/test_gpu_contract.py"),
    "engine/gpu/contract.py": ("tests/engine/test_gpu.py", "tests/engine/test_gpu_contract.py"),
    "engine/gpu/limits.py": ("tests/engine/test_gpu.py",),
    "engine/gpu/outliers.py": ("tests/engine/test_outliers.py",),
    "engine/noise/anchor_pairs.py": ("tests/engine/test_anchor_pairs.py",),
    "engine/noise/ceiling.py": ("tests/engine/test_ceiling.py", "tests/engine/test_places.py"),
    "engine/noise/drawings.py": ("tests/engine/test_drawings.py",),
    "engine/noise/excerpts.py": ("tests/engine/test_excerpts.py",),
    "engine/noise/lanes.py": ("tests/engine/test_lanes_parts.py",),
    "engine/noise/line_offsets.py": (
        "tests/engine/test_line_offsets_parts.py", "tests/engine/test_line_offsets.py",
        "tests/engine/test_lines.py",
    ),
    "engine/noise/lines.py": ("tests/engine/test_lines.py",),
    "engine/noise/measurement.py": (
        "tests/engine/test_measurement_parts.py", "tests/engine/test_estimating.py",
    ),
    "engine/noise/nearby.py": (
        "tests/engine/test_nearby_parts.py", "tests/engine/test_nearby.py",
    ),
    "engine/noise/opening.py": (
        "tests/engine/test_opening.py", "tests/engine/test_tracking.py",
        "tests/engine/test_excerpts.py",
    ),
    "engine/noise/places.py": (
        "tests/engine/test_places_parts.py", "tests/engine/test_places.py",
    ),
    "engine/noise/seen.py": ("tests/engine/test_seen.py",),
    "engine/noise/tracking.py": ("tests/engine/test_tracking.py",),
    "noise/anscombe.py": ("tests/noise/test_anscombe.py",),
    "noise/bands.py": ("tests/engine/test_contract_reference.py", "tests/noise/test_planes.py"),
    "noise/clipping.py": (
        "tests/noise/test_clipping.py", "tests/engine/test_contract_reference.py",
    ),
    "noise/standing/evidence.py": (
        "tests/noise/test_standing_parts.py", "tests/noise/test_standing.py",
    ),
    "noise/standing/steps.py": (
        "tests/noise/test_standing_steps.py", "tests/noise/test_standing.py",
    ),
    "engine/standing/remover.py": (
        "tests/engine/test_standing_parts.py", "tests/engine/test_standing.py",
    ),
    "noise/hum/guards.py": (
        "tests/noise/test_hum_guards.py",
        "tests/noise/test_hum_parts.py",
        "tests/noise/test_hum.py",
        "tests/noise/test_lines_parts.py",
        "tests/noise/test_lines.py",
        "tests/noise/test_stripes.py",
    ),
    "noise/hum/hum.py": ("tests/noise/test_hum_parts.py", "tests/noise/test_hum.py"),
    "noise/hum/views.py": ("tests/noise/test_hum_parts.py", "tests/noise/test_hum.py"),
    "noise/law.py": ("tests/noise/test_law_channels.py", "tests/noise/test_law.py"),
    "noise/model.py": ("tests/noise/test_model.py",),
    "noise/planes.py": ("tests/noise/test_planes.py",),
    "noise/measurement/agreement.py": ("tests/noise/test_agreement.py",),
    "noise/measurement/blocking.py": ("tests/noise/test_blocking.py",),
    "noise/measurement/blocks.py": ("tests/noise/test_blocks.py", "tests/noise/test_bound.py"),
    "noise/measurement/highpass.py": ("tests/noise/test_bound.py", "tests/noise/test_blocks.py"),
    "noise/measurement/bound.py": ("tests/noise/test_bound_parts.py", "tests/noise/test_bound.py"),
    "noise/measurement/compression.py": ("tests/noise/test_compression.py",),
    "noise/measurement/detail.py": (
        "tests/noise/test_detail_parts.py", "tests/noise/test_detail.py",
    ),
    "noise/measurement/fitting.py": ("tests/noise/test_fitting.py",),
    "noise/measurement/independence.py": (
        "tests/noise/test_independence.py", "tests/noise/test_spectrum.py",
    ),
    "noise/measurement/lines.py": ("tests/noise/test_lines_parts.py", "tests/noise/test_lines.py"),
    "noise/measurement/place_factors.py": ("tests/noise/test_bound_parts.py",),
    "noise/measurement/profiles.py": ("tests/noise/test_profiles.py",),
    "noise/measurement/samples.py": ("tests/noise/test_samples.py",),
    "noise/measurement/spectrum.py": ("tests/noise/test_spectrum.py",),
    "noise/photons/colours.py": ("tests/noise/test_colours.py",),
    "noise/photons/counting.py": ("tests/noise/test_counting.py", "tests/noise/test_samples.py"),
    "noise/photons/flashes.py": ("tests/noise/test_flashes.py",),
    "noise/photons/line.py": (
        "tests/noise/test_photons_parts.py", "tests/noise/test_photons.py",
    ),
    "noise/photons/shape.py": (
        "tests/noise/test_photons_parts.py", "tests/noise/test_photons.py",
    ),
    "samples/dead.py": ("tests/test_dead.py",),
    "samples/defects.py": ("tests/test_defects.py",),
    "samples/fills.py": ("tests/test_defects.py",),
    "samples/impulses.py": ("tests/test_defects.py",),
    "samples/lanes.py": ("tests/test_lanes.py",),
    "samples/lasting.py": ("tests/test_lasting.py",),
    "samples/learned.py": ("tests/test_learned.py",),
    "samples/stuck.py": ("tests/test_stuck.py",),
    "io/atomic.py": ("tests/io/test_part_files.py",),
    "io/ffmpeg/quantiser.py": ("tests/io/test_quantiser.py", "tests/noise/test_compression.py"),
    "io/video/verify.py": ("tests/io/test_verify.py",),
    "io/tiff/compression.py": ("tests/io/test_tiff_patch.py",),
    "io/tiff/patch.py": ("tests/io/test_tiff_patch.py",),
    "training/footage/noise.py": ("tests/training/test_footage_noise.py",),
    "training/footage/objections.py": (
        "tests/training/test_objections.py", "tests/training/test_footage_noise.py",
    ),
    "batch/records.py": ("tests/batch/test_records_on_disk.py", "tests/batch/test_records.py"),
}  # fmt: skip

# Module -> the faults of it that no caller can see: a part of a line, what it may become, and why.
EQUIVALENT: dict[str, list[list[str]]] = tomllib.loads(
    Path(__file__).with_name("equivalent.toml").read_text(encoding="utf-8")
)

SWAPS = (
    "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Mul_Add", "FloorDiv_Mul", "Mod_Add", "Pow_Mul",
    "BitOr_BitAnd", "BitAnd_BitOr", "LShift_RShift", "RShift_LShift",
)  # fmt: skip
COMPARISONS = (
    "Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE",
    "GtE_Gt", "GtE_Lt", "Is_IsNot", "IsNot_Is",
)  # fmt: skip
OTHERS = (
    "ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_Delete_Invert", "AddNot", "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak", "NumberReplacer", "ZeroIterationForLoop",
)  # fmt: skip


class DropStatement(Operator):
    """Leaves out a call, or an assignment like `x *= 2`, that stands alone."""

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and _dropped(node.children[0]):
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        node.children[0] = parso.parse(node.children[0].get_first_leaf().prefix + "pass")
        return node

    @classmethod
    def examples(cls):
        return ()


def _dropped(node: parso.tree.NodeOrLeaf) -> bool:
    called = node.type in ("atom_expr", "power")
    updated = node.type == "expr_stmt" and node.children[1].type == "annassign"
    augmented = node.type == "expr_stmt" and str(getattr(node.children[1], "value", "")) != "="
    return called or (augmented and not updated)


class Fault(NamedTuple):
    """One change of a module."""

    line: int
    before: str
    after: str
    code: str  # of the whole module


class Result(NamedTuple):
    """What became of a fault."""

    fault: Fault
    killed: bool
    why: str  # "test", "import", "time"; or why a survivor is no fault


def operators() -> list[Operator]:
    """Every way to make a fault. Bit operations on floats and the like fail on import or in the
    first call; they would only flatter the score, so they are left out."""
    names = [f"ReplaceBinaryOperator_{swap}" for swap in SWAPS]
    names += [f"ReplaceComparisonOperator_{swap}" for swap in COMPARISONS]
    found = [get_operator(f"core/{name}")() for name in (*names, *OTHERS)]
    return [*found, DropStatement()]


def places(source: str) -> list[tuple[Operator, int, str]]:
    """Every single fault of a module: an operator, its place there, and the lines of code."""
    nodes, lines = list(ast_nodes(get_ast(source))), source.splitlines()
    found = []
    for operator in operators():
        positions = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, ((first, _), (last, _)) in enumerate(positions):
            found.append((operator, occurrence, "\n".join(lines[first - 1 : last])))
    return found


def fault_of(source: str, operator: Operator, occurrence: int) -> Fault | None:
    """One fault; None where it changes no result: in annotations, and in guards against mistakes
    (a dataclass that is frozen, a `zip` that is strict)."""
    code = mutate_code(source, operator, occurrence) or source
    lines = zip(source.splitlines(), code.splitlines(), strict=False)
    for number, (old, new) in enumerate(lines):
        if old != new:
            # a marker, taken for a product
            if ", *, " in f", {old.strip()} " and ", /, " in f", {new.strip()} ":
                return None
            guarded = old.startswith(("@", "if TYPE_CHECKING")) or _loose(code) == _loose(source)
            if guarded or _run(source) == _run(code):
                return None
            return Fault(number + 1, old.strip(), new.strip(), code)
    return None


class _Bare(ast.NodeTransformer):
    """Takes annotations out."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = ast.Constant(None)
        self.generic_visit(node)
        return node


def _loose(source: str) -> str:
    return source.replace("strict=True", "strict=False")


def _run(source: str) -> str:
    """What runs of a module; nothing where it cannot be parsed."""
    try:
        return ast.dump(_Bare().visit(ast.parse(source)))
    except SyntaxError:
        return ""


def excuse(module: str, fault: Fault) -> str:
    """Why no caller can see a fault; nothing where one can."""
    before, after = _dense(fault.before), _dense(fault.after)
    for part, *others, why in EQUIVALENT.get(module, ()):
        if after in (before.replace(_dense(part), _dense(other)) for other in others):
            return why
    return ""


def _dense(line: str) -> str:
    return "".join(line.split())


def copied(folder: Path) -> Path:
    """A copy of the tree that faults go into."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    return folder


def run_tests(folder: Path, tests: tuple[str, ...], limit: float) -> tuple[int | None, float]:
    """pytest's exit code, None if it ran out of time, and the seconds it took."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_pytest(folder, tests)
    while time.monotonic() - began < limit:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), time.monotonic() - began
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None, limit


def _be_pytest(folder: Path, tests: tuple[str, ...]) -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)
    import pytest

    code = 99
    try:
        code = int(pytest.main([*OPTIONS, *tests]))
    finally:
        os._exit(code)


def judged(module: str, fault: Fault, folder: Path, limit: float) -> Result:
    """Run the nearest tests on one fault."""
    path = folder / "f2rcli" / module
    try:
        compile(fault.code, str(path), "exec")
    except SyntaxError:
        return Result(fault, True, "import")
    whole = path.read_text(encoding="utf-8")
    _put(path, fault.code)
    try:
        code, _ = run_tests(folder, TARGETS[module], limit)
    finally:
        _put(path, whole)
    if code == 0:
        return Result(fault, False, excuse(module, fault))
    return Result(fault, True, "time" if code is None else "test")


def _put(path: Path, code: str) -> None:
    """Write a module, without its bytecode, which would pass for one of equal size and second."""
    for stale in path.parent.glob(f"__pycache__/{path.stem}.*"):
        stale.unlink()
    path.write_text(code, encoding="utf-8")


def survey(module: str, folder: Path, options: argparse.Namespace) -> list[Result]:
    """The fates of a sample of a module's faults."""
    tests = TARGETS[module]
    code, seconds = run_tests(folder, tests, 300)
    if code != 0:
        raise SystemExit(f"{module}: its tests fail before anything is wrong (exit code {code}).")
    limit = min(options.limit, 10 + 5 * seconds)
    source = (ROOT / "f2rcli" / module).read_text(encoding="utf-8")
    every = places(source)
    random.Random(f"{options.seed} {module}").shuffle(every)
    made = (fault_of(source, *place) for place in _wanted(module, every, options.listed))
    found = (fault for fault in made if fault is not None)
    if options.listed:
        found = (fault for fault in found if excuse(module, fault))
    chosen = islice(found, options.sample or None)
    results = [judged(module, fault, folder, limit) for fault in sorted(chosen)]
    print(f"{row(module, len(every), results)}   {seconds:.1f} s of tests", flush=True)
    for fault, killed, why in results:
        if not killed:
            print(f"    {fault.line}: {fault.before}\n      -> {fault.after}  {why}")
        elif excuse(module, fault):
            print(f"    {fault.line}: {fault.after}  is listed, but a test sees it")
    return results


def _wanted(
    module: str, every: list[tuple[Operator, int, str]], listed: bool
) -> Iterator[tuple[Operator, int]]:
    parts = [_dense(part) for part, *_ in EQUIVALENT.get(module, ())]
    for operator, occurrence, code in every:
        if not listed or any(part in _dense(code) for part in parts):
            yield operator, occurrence


def row(name: str, every: int, results: list[Result]) -> str:
    """A line of the table: equivalent faults are not counted."""
    counted = [result for result in results if result.killed or not result.why]
    killed = sum(result.killed for result in counted)
    equivalent = len(results) - len(counted)
    score = 100 * killed / max(len(counted), 1)
    return f"| {name} | {every} | {len(counted)} | {killed} | {equivalent} | {score:.0f} % |"


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], help="parts of modules' names")
    parser.add_argument("--sample", type=int, default=0, help="faults of a module; 0: all of them")
    parser.add_argument("--listed", action="store_true", help="only faults listed as equivalent")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--limit", type=float, default=60, help="seconds for one fault's tests")
    options = parser.parse_args()
    os.environ |= {
        "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16",
    }  # fmt: skip
    for library in LIBRARIES:
        importlib.import_module(library)
    modules = [m for m in TARGETS if not options.only or any(part in m for part in options.only)]
    if options.listed:
        modules = [m for m in modules if m in EQUIVALENT]
    print("| module | faults | tried | killed | equivalent | score |\n|---|---|---|---|---|---|")
    every: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="f2r-mutation-") as scratch:
        folder = copied(Path(scratch))
        for module in modules:
            every += survey(module, folder, options)
    print(row("all", len(every), every))


if __name__ == "__main__":
    main()
