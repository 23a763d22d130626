"""Build the API reference from docstrings: `python docs/reference.py FOLDER` (extra `docs`)."""

import sys
from pathlib import Path
from pkgutil import iter_modules

import pdoc

import f2rcli

NOT_AN_API = {"__main__", "cli"}


def main(folder: Path) -> None:
    vars(f2rcli).update({name: getattr(f2rcli, name) for name in f2rcli.__all__})  # not lazy
    rooms = [module.name for module in iter_modules(f2rcli.__path__)]
    shown = [f"f2rcli.{room}" for room in rooms if room not in NOT_AN_API]
    pdoc.render.configure(footer_text=f"f2r {f2rcli.__version__}")
    pdoc.pdoc("f2rcli", *shown, output_directory=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
