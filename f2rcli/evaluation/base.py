"""What is evaluated: clips, files or folders of them matched by name, and every choice beside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from f2rcli import methods
from f2rcli.batch import clips_in, is_one_clip
from f2rcli.engine.settings import EngineSettings
from f2rcli.errors import InputError, UsageError
from f2rcli.evaluation import metrics
from f2rcli.evaluation.result import NOISY, FileFacts
from f2rcli.frames import ClipInfo, Frame
from f2rcli.io import ReadOptions, open_reader
from f2rcli.io.files import digest
from f2rcli.io.numbering import is_pattern
from f2rcli.settings import Setting, check, setting, settings_of

if TYPE_CHECKING:
    from f2rcli.noise.synthesis.spec import NoiseSpec  # brings OpenCV


class OpenClip(Protocol):
    """An open clip: its facts, and its frames, to be read once. `f2rcli.io.Reader` is one."""

    info: ClipInfo

    def __iter__(self) -> Iterator[Frame]: ...


# Opens a clip; called once per pass, so a clip is never held in memory.
ClipOpener = Callable[[], AbstractContextManager[OpenClip]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One clip to evaluate, with everything known about it."""

    name: str
    group: str = ""
    reference: ClipOpener | None = None
    noisy: ClipOpener | None = None  # None where `noise` makes it of the reference
    noise: "NoiseSpec | None" = None
    given: Mapping[str, ClipOpener] = field(default_factory=dict)  # denoised by others, by label
    files: tuple[FileFacts, ...] = ()


# --- What is asked for ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every choice that changes a value. Raises UsageError for names that do not exist."""

    metrics: tuple[str, ...] = ()  # (): what suits the kind of evaluation
    methods: tuple[str, ...] = ()  # of f2r's, "none" among them; made here, from the noisy input
    baselines: tuple[str, ...] = ()
    seed: int = setting(0, low=0)
    clipped: bool = True  # noise made on the spot: 8-bit codes; False: floats, as papers do
    frames: int | None = None  # at most this many of each clip
    engine: EngineSettings = field(default_factory=EngineSettings)  # but for the method

    def __post_init__(self) -> None:
        check(self)
        metrics.check(self.metrics)
        for name in self.methods:
            Setting(choices=[*methods.available(), NOISY]).check("methods", name)
        made = [name for name in self.methods if name != NOISY]
        if self.engine.weights is not None and len(made) != 1:
            what = f"weights={self.engine.weights}: for which of {', '.join(made) or 'no'} methods?"
            raise UsageError(what, hint="Pass one method with methods=.")

    def values(self) -> dict[str, Any]:
        """The plan as JSON values, for the report."""
        named = [name for name in settings_of(EngineSettings) if name != "method"]
        engine = {name: getattr(self.engine, name) for name in named}
        return {
            "seed": self.seed, "clipped": self.clipped, "frames": self.frames,
            **{name: value for name, value in engine.items() if value is not None},
        }  # fmt: skip


# --- Clips that belong together ------------------------------------------------------------------


Clips = dict[str, Path]  # by name, without suffix

SEPARATORS = "._-"  # what may follow a clip's name in that of its noisy or denoised version


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared with what, as a user names it. Raises UsageError for what cannot be."""

    denoised: tuple[str, ...]  # [LABEL=]PATH
    clean: str | None
    noisy: str | None
    noise: tuple[str, ...]
    benchmark: str | None
    root: str | None
    any_clips: bool

    def __post_init__(self) -> None:
        clean, noisy, denoised, own = self.clean, self.noisy, self.denoised, self.benchmark
        for wrong, message, hint in (
            ((own is None) != (self.root is None), "benchmark= and root=: go together.",
             "Pass both."),
            (self.any_clips and own is None, "any_clips=: says which clips a benchmark= takes.",
             "Leave it out."),
            (own is not None and (clean or noisy or denoised), "benchmark=: names its own clips.",
             "Leave clean=, noisy= and DENOISED out."),
            (self.noise and own is None and (clean is None or noisy or denoised),
             "noise=: is made on clean clips, for methods that run here.",
             "Pass clean=, and neither noisy= nor DENOISED."),
            (own is None and not self.noise and not denoised and noisy is None,
             "nothing to evaluate.", "f2r eval DENOISED --clean CLEAN, f2r eval --clean CLEAN "
             "--noise gaussian:30, or f2r eval DENOISED --noisy NOISY."),
            (denoised and clean is None and noisy is None,
             f"{next(iter(denoised), '')}: nothing to compare it with.",
             "Pass clean= or noisy=, or both."),
        ):  # fmt: skip
            if wrong:
                raise UsageError(message, hint=hint)

    def cases(self, read: ReadOptions) -> tuple[list[Case], list[str]]:
        """The cases that are no benchmark's, and remarks; see `paired`."""
        from f2rcli.noise.synthesis.spec import parse  # brings codecs

        named = {"clean": self.clean, "noisy": self.noisy}
        sides = {word: Path(path) for word, path in named.items() if path is not None}
        return paired(sides | self._labelled(), read, [parse(text) for text in self.noise])

    def _labelled(self) -> dict[str, Path]:
        """The denoised sides by label; without one by their own name."""
        sides: dict[str, Path] = {}
        for text in self.denoised:
            label, _, path = text.partition("=")
            taken = ("clean", "noisy", NOISY, *sides)
            if not (label and path) or Path(text).exists():
                own, path = Path(text).resolve().stem, text
                label = own if own not in taken else f"{own} ({len(sides) + 2})"
            if label in taken:
                what = f"{path}: the label {label} is taken."
                raise UsageError(what, hint="Write LABEL=PATH with another label.")
            sides[label] = Path(path)
        return sides


def file_facts(role: str, path: Path) -> FileFacts:
    return FileFacts(role=role, path=str(path), sha256=digest(path))


def is_folder_of_clips(path: Path) -> bool:
    """Whether a path is a folder that is not a clip by itself. Raises InputError if not there."""
    if not path.exists() and not is_pattern(str(path)):
        raise InputError(f"{path}: there is no such file or folder.", hint="Check the path.")
    try:
        return path.is_dir() and not is_one_clip(path)
    except OSError as error:
        what = f"{path}: {error.strerror or error}."
        raise InputError(what, hint="Check its permissions.") from error


def clips_of(path: Path) -> Clips:
    """The clips of a folder by name, or the one file. Raises InputError for none or doubles."""
    if not is_folder_of_clips(path):
        return {path.stem: path}
    clips: Clips = {}
    for clip in clips_in(path):
        name = clip.stem if clip.is_file() else clip.name
        if name in clips:
            what = f"{path}: {clips[name].name} and {clip.name} have the same name."
            raise InputError(what, hint="Clips are matched by name: rename one of them.")
        clips[name] = clip
    if not clips:
        raise InputError(f"{path}: has no clips.", hint="Name a folder of videos or stacks.")
    return clips


def paired(
    sides: Mapping[str, Path], options: ReadOptions, noises: "Sequence[NoiseSpec]" = ()
) -> tuple[list[Case], list[str]]:
    """The cases of what was named, and remarks on clips that are left out.

    sides: by their words, clean, noisy, or the label of a denoised one. Of files, they belong
    together; of folders, clips do whose names are those of the first side, alone or followed by a
    point, dash or underscore: `swan`, `swan_f2r`, `swan.g30`. Raises InputError where no clip has
    all it needs, UsageError for files beside folders.
    """
    folders = [path for path in sides.values() if is_folder_of_clips(path)]
    if folders and len(folders) < len(sides):
        file = next(path for path in sides.values() if path not in folders)
        what = f"{folders[0]} is a folder of clips, {file} is one clip."
        raise UsageError(what, hint="Name files or folders, not both.")
    each, single = {word: clips_of(path) for word, path in sides.items()}, not folders
    words = list(each)
    names = [next(iter(each[words[0]]))] if single else list(each[words[0]])
    cases, remarks, used = [], [], {word: set[str]() for word in words}
    for name in names:
        found = {w: (next(iter(c)) if single else match(name, names, c)) for w, c in each.items()}
        missing = [word for word, other in found.items() if other is None]
        if missing:
            remarks.append(f"{name}: no {' or '.join(missing)} clip of this name; left out")
            continue
        paths = {word: each[word][other] for word, other in found.items() if other is not None}
        for word, other in found.items():
            used[word].add(str(other))
        cases += _cases(name, paths, options, noises)
    for word in words[1:]:
        alone = (n for n in each[word] if n not in used[word])
        remarks += [f"{n}: {word}, without a {words[0]} clip; left out" for n in alone]
    if not cases:
        what = f"no clips in {' and '.join(map(str, sides.values()))} match by name."
        way = f"{words[1].capitalize()} clips are found by the names of the {words[0]} ones"
        raise InputError(what, hint=f"{way}, such as {names[0]} and {names[0]}_f2r.")
    return cases, remarks


def match(name: str, names: Sequence[str], clips: Clips) -> str | None:
    """The clip that belongs to `name`: of that name, else the one that begins with it, if no
    longer one of `names` fits better. Raises InputError where there are several."""
    if name in clips:
        return name
    longer = [other for other in names if other != name and belongs(other, name)]
    near = (clip for clip in clips if belongs(clip, name))
    candidates = [c for c in near if not any(c == other or belongs(c, other) for other in longer)]
    if len(candidates) > 1:
        what = f"{name}: several clips match, {' or '.join(sorted(candidates)[:3])}."
        raise InputError(what, hint="Keep one version of each clip in a folder.")
    return next(iter(candidates), None)


def belongs(clip: str, name: str) -> bool:
    """Whether a clip's name is another's with something after it."""
    return clip.startswith(name) and clip[len(name) : len(name) + 1] in tuple(SEPARATORS)


def _cases(
    name: str, paths: Mapping[str, Path], options: ReadOptions, noises: "Sequence[NoiseSpec]"
) -> list[Case]:
    """One case, or one for each noise that is to be made."""
    named = paths.items()
    given: dict[str, ClipOpener] = {w: partial(open_reader, path, options) for w, path in named}
    roles = ((word if word in ("clean", "noisy") else "denoised", path) for word, path in named)
    facts = tuple(file_facts(role, path) for role, path in roles)
    case = Case(
        name=name, reference=given.pop("clean", None), noisy=given.pop("noisy", None), given=given,
        files=facts,
    )  # fmt: skip
    return [replace(case, group=noise.name, noise=noise) for noise in noises] or [case]
