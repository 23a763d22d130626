"""The options that commands share: their names, their help, and where `--help` lists them."""

from typing import Annotated

import typer

from f2rcli.cli.options.checks import PRECISIONS
from f2rcli.cli.options.settings import load_config

SPAN = "Which part"
PICTURE = "Picture"
MACHINE = "Machine"
ENCODING = "Encoding"
RUN = "Run"


Source = Annotated[
    str,
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="Video, folder or pattern of pictures (frames/%05d.png), or - for standard input.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="OUTPUT",
        help="Its suffix picks the format; - is standard output. Without it: INPUT_f2r.",
    ),
]
Strength = Annotated[
    float,
    typer.Option(
        "--strength",
        metavar="S",
        help="1 takes out the estimated noise, less keeps grain, 0 changes nothing, up to 4 takes "
        "it to be that much stronger.",
        rich_help_panel=PICTURE,
    ),
]
LumaStrength = Annotated[
    float | None,
    typer.Option(
        "--luma-strength",
        metavar="S",
        help="The same for brightness alone; without it as --strength.",
        rich_help_panel=PICTURE,
    ),
]
ChromaStrength = Annotated[
    float | None,
    typer.Option(
        "--chroma-strength",
        metavar="S",
        help="The same for colour alone; without it as --strength.",
        rich_help_panel=PICTURE,
    ),
]
Sigma = Annotated[
    float | None,
    typer.Option(
        "--sigma",
        metavar="N",
        help="Noise level in 8-bit units, instead of the estimate.",
        rich_help_panel=PICTURE,
    ),
]
Method = Annotated[
    str,
    typer.Option("--method", metavar="NAME", help="How to restore.", rich_help_panel=PICTURE),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="NAME|PATH",
        help="Trained weights; without it the bundled ones that suit the clip.",
        rich_help_panel=PICTURE,
    ),
]
Adapt = Annotated[
    str | None,
    typer.Option(
        "--adapt",
        metavar="[fast|full]",
        help="Fit the weights to this clip first: fast (its noise level alone, half a minute) or "
        "full (minutes of training on it; the default of the two). Kept for the next time.",
        rich_help_panel=PICTURE,
    ),
]
Fields = Annotated[
    str,
    typer.Option(
        "--fields",
        metavar="auto|on|off",
        help="Denoise the two fields of interlaced video apart.",
        rich_help_panel=PICTURE,
    ),
]
Axes = Annotated[
    str | None,
    typer.Option(
        "--axes",
        metavar="TZCYX",
        help="What the axes of a TIFF stack are, one letter each: T time, Z depth, C channel.",
        rich_help_panel=SPAN,
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start", metavar="TIME", help="Seconds or h:mm:ss from the start.", rich_help_panel=SPAN
    ),
]
End = Annotated[
    str | None,
    typer.Option(
        "--end",
        metavar="TIME",
        help="Seconds or h:mm:ss; this moment is out.",
        rich_help_panel=SPAN,
    ),
]
Frames = Annotated[
    int | None,
    typer.Option("--frames", metavar="N", min=1, help="At most N frames.", rich_help_panel=SPAN),
]
Preview = Annotated[
    int | None,
    typer.Option(
        "--preview",
        metavar="N",
        min=1,
        help="Before | after: a PNG still (1) or a clip of N frames, nothing else.",
        rich_help_panel=SPAN,
    ),
]
ReportTo = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="OUT.html",
        help="Afterwards, a page on the run: before and after, what was taken out, noise left.",
        rich_help_panel=RUN,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda[:i]|mps",
        help="Where to compute.",
        rich_help_panel=MACHINE,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        help="CPU threads; without it all of them.",
        rich_help_panel=MACHINE,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="|".join(PRECISIONS),
        help="Arithmetic of the networks.",
        rich_help_panel=MACHINE,
    ),
]
Tile = Annotated[
    str,
    typer.Option(
        "--tile",
        metavar="auto|off|N",
        help="Work in squares of N pixels; auto only for frames that are large for the memory.",
        rich_help_panel=MACHINE,
    ),
]
Codec = Annotated[
    str | None,
    typer.Option(
        "--codec",
        metavar="NAME",
        help="Encoder or family: h264, hevc, av1, vp9, ffv1, prores, mjpeg, libx264... "
        "Without it: the input's.",
        rich_help_panel=ENCODING,
    ),
]
Crf = Annotated[
    float | None,
    typer.Option(
        "--crf", metavar="N", help="Constant quality; lower is better.", rich_help_panel=ENCODING
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset", metavar="NAME", help="The encoder's speed preset.", rich_help_panel=ENCODING
    ),
]
PixFmt = Annotated[
    str | None,
    typer.Option(
        "--pix-fmt",
        metavar="NAME",
        help="Pixel format of the output; without it the input's.",
        rich_help_panel=ENCODING,
    ),
]
EncoderOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder-opt",
        metavar="K=V",
        help="An option for the encoder; may be repeated.",
        rich_help_panel=ENCODING,
    ),
]
Lossless = Annotated[
    bool,
    typer.Option("--lossless/--lossy", help="FFV1, in every format.", rich_help_panel=ENCODING),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="dng|tiff",
        help="Camera raw: files to write into a folder. Without it: as the input.",
        rich_help_panel=ENCODING,
    ),
]
Demosaic = Annotated[
    bool,
    typer.Option(
        "--demosaic/--mosaic",
        help="Camera raw: developed 16-bit TIFF instead of the mosaic.",
        rich_help_panel=ENCODING,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite/--no-overwrite", help="Replace OUTPUT.", rich_help_panel=RUN),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the plan, write nothing.", rich_help_panel=RUN),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict/--no-strict",
        help="Stop at the first damaged frame; count dropped streams as a failure.",
        rich_help_panel=RUN,
    ),
]
KeepPartial = Annotated[
    bool,
    typer.Option(
        "--keep-partial/--no-keep-partial",
        help="Leave the part file of a failed run beside OUTPUT.",
        rich_help_panel=RUN,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Standard output as JSON, for programs.", rich_help_panel=RUN),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Warnings and errors only.", rich_help_panel=RUN),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Say more.", rich_help_panel=RUN),
]
LogFile = Annotated[
    str | None,
    typer.Option(
        "--log-file", metavar="PATH", help="Everything that --verbose says.", rich_help_panel=RUN
    ),
]
Debug = Annotated[
    bool,
    typer.Option("--debug", help="Tracebacks (or set F2R_DEBUG=1).", rich_help_panel=RUN),
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="run.toml",
        help="Options from a file, by their long names; flags override it.",
        callback=load_config,
        is_eager=True,
        rich_help_panel=RUN,
    ),
]
