"""The options of `f2r eval`: their names, their help, and where `--help` lists them."""

from typing import Annotated

import typer

from f2rcli.cli.options.shared import RUN, SPAN
from f2rcli.evaluation.plan import CONVERSIONS

CLIPS = "Clips"
NOISE = "Noise made on the spot"
WHO = "Who takes part"
MEASURES = "Measures"
RESULTS = "Results"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[LABEL=]DENOISED",
        show_default=False,
        help="Denoised clip, or folder of clips; the same as --denoised.",
    ),
]
Denoised = Annotated[
    list[str] | None,
    typer.Option(
        "--denoised",
        metavar="[LABEL=]PATH",
        help="Denoised clip, or folder of clips; may be repeated to compare.",
        rich_help_panel=CLIPS,
    ),
]
Clean = Annotated[
    str | None,
    typer.Option(
        "--clean",
        metavar="PATH",
        help="Clean clip, or folder of clips, to compare with.",
        rich_help_panel=CLIPS,
    ),
]
Noisy = Annotated[
    str | None,
    typer.Option(
        "--noisy",
        metavar="PATH",
        help="Noisy clip, or folder of clips, that were denoised or are to be.",
        rich_help_panel=CLIPS,
    ),
]
Benchmark = Annotated[
    str | None,
    typer.Option(
        "--benchmark",
        metavar="NAME",
        help="A published benchmark, by its published protocol; needs --root.",
        rich_help_panel=CLIPS,
    ),
]
Root = Annotated[
    str | None,
    typer.Option(
        "--root", metavar="DIR", help="Where the benchmark's files lie.", rich_help_panel=CLIPS
    ),
]
Frames = Annotated[
    int | None,
    typer.Option(
        "--frames", metavar="N", min=1, help="At most N frames of each clip.", rich_help_panel=SPAN
    ),
]
Noise = Annotated[
    list[str] | None,
    typer.Option(
        "--noise",
        metavar="KIND[:NUMBERS]",
        help="gaussian:30, poisson-gaussian:0.01,4, salt-pepper, correlated:30, compressed:30,23, "
        "or mixture; ranges such as gaussian:5-55 are drawn per clip. Repeatable.",
        rich_help_panel=NOISE,
    ),
]
Clipped = Annotated[
    bool,
    typer.Option(
        "--clipped/--unclipped",
        help="8-bit codes, as files hold them, or floats, as papers use them.",
        rich_help_panel=NOISE,
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="N", help="Same seed, same noise.", rich_help_panel=NOISE),
]
Methods = Annotated[
    str | None,
    typer.Option(
        "--methods",
        metavar="A,B,none",
        help="Methods that denoise the noisy clips here; none is the noisy clip itself.",
        rich_help_panel=WHO,
    ),
]
Baselines = Annotated[
    str | None,
    typer.Option(
        "--baselines",
        metavar="A,B",
        help="Others' denoisers beside them: ffmpeg, opencv, or one of theirs by name.",
        rich_help_panel=WHO,
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="A,B|all",
        help="What to measure; without it what suits.",
        rich_help_panel=MEASURES,
    ),
]
Border = Annotated[
    int,
    typer.Option(
        "--border",
        metavar="PIXELS",
        help="Leave out so many pixels on every side.",
        rich_help_panel=MEASURES,
    ),
]
Conversion = Annotated[
    str,
    typer.Option(
        "--conversion",
        metavar="|".join(CONVERSIONS),
        help="How Y'CbCr becomes RGB: exactly, or to 8 bits as FFmpeg does.",
        rich_help_panel=MEASURES,
    ),
]
CsvTo = Annotated[
    str | None,
    typer.Option(
        "--csv",
        metavar="OUT.csv",
        help="Every value as a table; - prints it.",
        rich_help_panel=RESULTS,
    ),
]
JsonTo = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="OUT.json",
        help="All of it as JSON; - prints it.",
        rich_help_panel=RESULTS,
    ),
]
ReportTo = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="OUT.html",
        help="A page with tables, curves and pictures, in one file.",
        rich_help_panel=RESULTS,
    ),
]
CompareTo = Annotated[
    str | None,
    typer.Option(
        "--compare-video",
        metavar="OUT.mp4",
        help="A split screen of all sides; of several clips, a folder.",
        rich_help_panel=RESULTS,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite/--no-overwrite", help="Replace the results' files.", rich_help_panel=RUN
    ),
]
