"""A plot of the results: each bar is a median, each dot a round, each dashed line a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.figures import Comparison, Figure, Results

_PAIR, _BARE, _TARGET = "#2a6f97", "#a9a9a9", "#c1121f"


def draw(results: Results, file: Path) -> None:
    canvas = Canvas(figsize=(12, 7), layout="constrained")
    panels = canvas.subplots(2, 3).flat
    accepted = (results.alone_closed, results.alone_open, results.beside_closed, results.beside_open)
    loads = ("64 at once", "1,000/s", "64 at once,\nturns running", "1,000/s,\nturns running")
    _panel(next(panels), "webhooks accepted per second", loads, [each.per_second for each in accepted], 1000)
    _panel(next(panels), "acceptance p99, ms", loads, [each.p99 for each in accepted], 250)
    rates = [f"{who}\n{each.rate:.0f}/s" for each in results.comparisons for who in ("pair", "bare")]
    _panel(next(panels), "CPU per message, ms", rates, _both(results.comparisons, "cpu"), 4)
    _panel(next(panels), "webhook to Graph call p50, ms", rates, _both(results.comparisons, "p50"), 12)
    _panel(next(panels), "webhook to Graph call p99, ms", rates, _both(results.comparisons, "p99"), 40)
    at_rates = [f"{each.rate:.0f}/s" for each in results.comparisons]
    ratios = [each.cpu_ratio for each in results.comparisons]
    _panel(next(panels), "pair's CPU over the bare handler's", at_rates, ratios, 2.5)
    # Fixed ids and no date, so that equal results give an equal file.
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    mpl.rcParams["svg.fonttype"] = "none"
    canvas.savefig(file, metadata={"Date": None})


def _both(comparisons: Sequence[Comparison], name: str) -> list[Figure]:
    return [getattr(who, name) for each in comparisons for who in (each.pair, each.bare)]


def _panel(axes: Axes, title: str, names: Sequence[str], figures: Sequence[Figure], target: float) -> None:
    places = range(len(names))
    colours = [_BARE if name.startswith("bare") else _PAIR for name in names]
    bars = axes.bar(places, [figure.median for figure in figures], color=colours, width=0.6)
    axes.bar_label(bars, fmt="{:,.3g}", padding=3)
    for place, figure in zip(places, figures, strict=True):
        axes.plot([place] * len(figure.rounds), figure.rounds, ".", color="black", markersize=4)
    axes.axhline(target, color=_TARGET, linestyle="--", linewidth=1)
    axes.set_title(title, fontsize=10)
    axes.set_xticks(places, names, fontsize=8)
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
