"""A plot of the results: each bar is a median, each dot a round, each dashed line a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks.report import CPU_TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.figures import Answered, Comparison, Figure, Results

_PAIR, _BARE, _TARGET = "#2a6f97", "#a9a9a9", "#c1121f"


def draw(results: Results, file: Path) -> None:
    canvas = Canvas(figsize=(13, 10), layout="constrained")
    panels = canvas.subplots(3, 3).flat
    accepted = (results.alone_closed, results.alone_open, results.beside_closed, results.beside_open)
    loads = ("64 at once", "1,000/s", "64 at once,\nturns running", "1,000/s,\nturns running")
    _panel(next(panels), "webhooks accepted per second", loads, [each.per_second for each in accepted], 1000)
    _panel(next(panels), "acceptance p99, ms", loads, [each.p99 for each in accepted], 250)
    _parts(next(panels), results.comparisons)
    _latency(next(panels), "webhook to Graph call p50, ms", results.comparisons, "p50", 12)
    _latency(next(panels), "webhook to Graph call p99, ms", results.comparisons, "p99", 40)
    at_rates = [f"{each.rate:.0f}/s" for each in results.comparisons]
    ratios = [each.cpu_ratio for each in results.comparisons]
    _panel(next(panels), "pair's CPU over the bare handler's", at_rates, ratios, CPU_TARGETS[50.0])
    stored = [f"{each.much:,} {each.what}\nover {each.little:,}" for each in results.growths]
    _panel(
        next(panels), "CPU per message against what is stored", stored, [each.ratio for each in results.growths], 1.15
    )
    _panel(
        next(panels), "p95 of fifty others, ms", ("alone", "beside a flood"), [results.flood.quiet, results.flood.loud]
    )
    next(panels).axis("off")
    # Fixed ids and no date, so that equal results give an equal file.
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    mpl.rcParams["svg.fonttype"] = "none"
    canvas.savefig(file, metadata={"Date": None})


def _parts(axes: Axes, comparisons: Sequence[Comparison]) -> None:
    """The CPU per message of the pair and of the bare handler at each rate, stacked by kind of thread."""
    bars = [(f"{name}\n{each.rate:.0f}/s", who) for each in comparisons for name, who in _both(each)]
    height = [0.0] * len(bars)
    for part in sorted({part for _, who in bars for part in who.parts}):
        sizes = [who.parts[part].median if part in who.parts else 0.0 for _, who in bars]
        axes.bar(range(len(bars)), sizes, bottom=height, width=0.6, label=part)
        height = [below + size for below, size in zip(height, sizes, strict=True)]
    for place, total in enumerate(height):
        axes.annotate(f"{total:.1f}", (place, total), ha="center", va="bottom", fontsize=8)
    axes.legend(fontsize=6)
    axes.set_xticks(range(len(bars)), [name for name, _ in bars], fontsize=8)
    _finish(axes, "CPU per message by part, ms")


def _latency(axes: Axes, title: str, comparisons: Sequence[Comparison], name: str, target: float) -> None:
    """Against load, for the pair and the bare handler."""
    for who, colour in (("pair", _PAIR), ("bare", _BARE)):
        measured = [(each.rate, getattr(getattr(each, who), name)) for each in comparisons]
        axes.plot(
            [rate for rate, _ in measured], [figure.median for _, figure in measured], "o-", color=colour, label=who
        )
        for rate, figure in measured:
            axes.plot([rate] * len(figure.rounds), figure.rounds, ".", color=colour, markersize=4)
    axes.axhline(target, color=_TARGET, linestyle="--", linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("messages per second", fontsize=8)
    axes.legend(fontsize=8)
    _finish(axes, title)


def _both(comparison: Comparison) -> tuple[tuple[str, Answered], tuple[str, Answered]]:
    return ("pair", comparison.pair), ("bare", comparison.bare)


def _panel(
    axes: Axes, title: str, names: Sequence[str], figures: Sequence[Figure], target: float | None = None
) -> None:
    places = range(len(names))
    bars = axes.bar(places, [figure.median for figure in figures], color=_PAIR, width=0.6)
    axes.bar_label(bars, fmt="{:,.3g}", padding=3)
    for place, figure in zip(places, figures, strict=True):
        axes.plot([place] * len(figure.rounds), figure.rounds, ".", color="black", markersize=4)
    if target is not None:
        axes.axhline(target, color=_TARGET, linestyle="--", linewidth=1)
    axes.set_xticks(places, names, fontsize=8)
    _finish(axes, title)


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
