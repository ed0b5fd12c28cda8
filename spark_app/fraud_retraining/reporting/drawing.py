"""How figures are drawn: SVG that stands in a page, takes its colours and its font, and needs nothing else.

Matplotlib is told colours that stand for the page's own (CSS custom properties), so one drawing is right in light and
dark. The sizes are in points of a drawing that is shown about as wide as it is: legible at 400 pixels.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from typing import Dict, Iterator

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure

WIDTH = 5.2  # inches
NAMES = (
    "ink",
    "muted",
    "grid",
    "challenger",
    "champion",
    "earlier",
    "good",
    "bad",
    "surface",
    "train",
    "delay",
    "test",
)
COLOURS: Dict[str, str] = {name: f"#0000{place:02x}" for place, name in enumerate(NAMES, 0x11)}
INK, MUTED, GRID = (COLOURS[name] for name in ("ink", "muted", "grid"))
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "lines.linewidth": 1.8,
    "hatch.color": MUTED,
}


@contextmanager
def style() -> Iterator[None]:
    with mpl.rc_context(STYLE):
        yield


def canvas(height: float, rows: int = 1, columns: int = 1, **options: object) -> Figure:
    """A figure with axes of ``WIDTH`` inches and this height."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.subplots(rows, columns, **options)
    return figure


def svg(figure: Figure, name: str, says: str) -> Markup:
    """The figure as an element of a page; ``says`` is what it shows, for whoever does not see it."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\s*|<rect [^>]*id=\"\"/>", "", text, flags=re.DOTALL)
    text = re.sub(r'id="(?:figure|patch|axes|matplotlib\.axis|xtick|ytick|text|line2d|legend)_\d+"', "", text)
    text = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", text)
    text = re.sub(r' d="[^"]+"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path.group()), text)
    for colour in NAMES:
        text = text.replace(COLOURS[colour], f"var(--{colour})")
    size = re.search(r'viewBox="0 0 ([\d.]+) ', text)
    assert size, "Matplotlib writes a viewBox"
    head = f'<svg role="img" aria-label="{escape(says)}" xmlns="http://www.w3.org/2000/svg" class="figure" '
    box = re.search(r'viewBox="[^"]+"', text)
    assert box
    return Markup(f"{head}{box.group(0)}>" + re.sub(r"^<svg[^>]*>", "", text))
