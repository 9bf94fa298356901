"""Outputs fit for a repository: the same bytes on every build, nothing of this machine in them."""

import base64
import io
import os
import re
from pathlib import Path

from nbconvert.filters import strip_ansi
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode
from PIL import Image

ERASED = re.compile(r"[^\n\x08]\x08")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
PLACES = ["/home/", "/Users/", r"[A-Z]:\\Users\\", *map(re.escape, (str(Path.home()), os.getcwd()))]
HOME = re.compile(rf"(?:{'|'.join(PLACES)})\S*")


def tidy(cell: NotebookNode) -> None:
    """Make a code cell's outputs what a person would have seen, and repeatable.

    Drops stderr (start-up lines that differ between machines) and timings, joins streams,
    applies what a terminal does with backspaces, carriage returns and colours, and shrinks
    figures to a third with a palette of 256 colours.
    """
    cell.metadata.pop("execution", None)
    cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    for output in cell.outputs:
        output.get("metadata", {}).clear()
        if output.output_type == "stream":
            output.text = _erase(strip_ansi(output.text))
        elif "image/png" in output.get("data", {}):
            output.data["image/png"] = _with_palette(output.data["image/png"])
    CoalesceStreamsPreprocessor().preprocess_cell(cell, {}, 0)


def machine_trace(cell: NotebookNode) -> str | None:
    """The first text in a cell's outputs that only this machine would print, if any."""
    for output in cell.outputs:
        texts = [output.get("text", "")] + [
            text for kind, text in output.get("data", {}).items() if kind.startswith("text/")
        ]
        for text in texts:
            if found := ADDRESS.search(text) or HOME.search(text):
                return found.group()
    return None


def _erase(text: str) -> str:
    while ERASED.search(text):
        text = ERASED.sub("", text)
    return text.replace("\x08", "")


def _with_palette(png: str) -> str:
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    small = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()
