"""Plots as small SVG files, written by hand: bars of one workload, and curves of growth."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from .growth import Curve
from .results import Result

_WIDTH, _LEFT, _RIGHT, _BAR = 720, 190, 90, 26
_HEIGHT, _TOP, _BOTTOM = 320, 40, 50
_COLOURS = ("#4051b5", "#e6711b", "#2e8b57")
_STYLE = (
    "<style>text{font:13px sans-serif;fill:#444}.t{font-weight:bold}.g{stroke:#8884}"
    "@media (prefers-color-scheme:dark){text{fill:#ccc}}</style>"
)


def draw(results: Iterable[Result], growth: Sequence[Curve], folder: Path) -> None:
    """Draws every result that has several rows, and every curve, into files of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for found in results:
        if len(found.rows) > 1:
            (folder / f"{slug(found)}.svg").write_text(bars(found))
    for name in dict.fromkeys(curve.name for curve in growth):
        (folder / f"growth-{name}.svg").write_text(curves([curve for curve in growth if curve.name == name]))


def slug(found: Result) -> str:
    """The name of a result's file."""
    text = f"{found.workload} {found.what} {'' if found.unit == 'us an event' else found.unit}".lower()
    return "-".join("".join(letter if letter.isalnum() else " " for letter in text).split())


# -- bars --------------------------------------------------------------------------------------------------------------


def bars(found: Result) -> str:
    """A result as bars on a scale of powers of ten."""
    least = 10 ** math.floor(math.log10(min(row.median for row in found.rows)))
    most = 10 ** math.ceil(math.log10(max(row.median for row in found.rows)) + 1e-9)
    per_decade = (_WIDTH - _LEFT - _RIGHT) / math.log10(most / least)
    height = _TOP + _BAR * len(found.rows) + _BOTTOM
    parts = [_text(8, 22, f"{found.workload}: {found.what}", "t")]
    decade = least
    while decade <= most * 1.01:
        x = _LEFT + per_decade * math.log10(decade / least)
        parts.append(_line(x, _TOP, x, height - _BOTTOM))
        parts.append(_text(x, height - _BOTTOM + 18, f"{decade:g}", anchor="middle"))
        decade *= 10
    for place, row in enumerate(found.rows):
        y = _TOP + place * _BAR
        length = max(1.0, per_decade * math.log10(row.median / least))
        colour = _COLOURS[0 if place == 0 else 1]
        parts.append(f'<rect x="{_LEFT}" y="{y + 4}" width="{length:.0f}" height="{_BAR - 8}" fill="{colour}"/>')
        parts.append(_text(_LEFT - 8, y + 18, row.side, anchor="end"))
        parts.append(_text(_LEFT + length + 6, y + 18, f"{row.median:.3g}"))
    parts.append(_text(_LEFT, height - 10, f"{found.unit}, {found.clock}; less is better"))
    return _svg(height, parts)


# -- curves ------------------------------------------------------------------------------------------------------------


def curves(given: Sequence[Curve]) -> str:
    """Curves of one kind, both scales in powers of ten: flat is flat, and a straight rise is linear."""
    across = [x for curve in given for x, _ in curve.points]
    up = [y for curve in given for _, y in curve.points]
    left, right = math.log10(min(across)), math.log10(max(across))
    low, high = math.floor(math.log10(min(up))), math.ceil(math.log10(max(up)) + 1e-9)
    if high - low < 2:
        high = low + 2

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            70 + (_WIDTH - 230) * (math.log10(x) - left) / (right - left),
            _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (math.log10(y) - low) / (high - low),
        )

    parts = [_text(8, 22, f"Microseconds of CPU an event, against {given[0].against}", "t")]
    for power in range(low, high + 1):
        _, y = place(1, 10**power)
        parts += [_line(70, y, _WIDTH - 160, y), _text(62, y + 4, f"{10.0**power:g}", anchor="end")]
    for power in range(math.ceil(left), math.floor(right) + 1):
        x, _ = place(10**power, 1)
        parts += [
            _line(x, _TOP, x, _HEIGHT - _BOTTOM),
            _text(x, _HEIGHT - _BOTTOM + 18, f"{10**power:,}", anchor="middle"),
        ]
    for number, curve in enumerate(given):
        colour = _COLOURS[number]
        points = [place(x, y) for x, y in curve.points]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(_text(points[-1][0] + 10, points[-1][1] + 4, curve.side))
    return _svg(_HEIGHT, parts)


# -- SVG ---------------------------------------------------------------------------------------------------------------


def _svg(height: float, parts: Iterable[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}">'
    return "\n".join([head, _STYLE, *parts, "</svg>"]) + "\n"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="g" x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"/>'


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{named}>{escape(text)}</text>'
