# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures and plots of a report, drawn with Matplotlib and kept small as palette PNGs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from numpy.typing import NDArray

INK, FAINT, PAPER = '#1d2433', '#8a93a5', '#ffffff'
"""Colours of text, of what stands back, and of the background."""

COLOURS = ('#2563eb', '#d97706', '#059669', '#dc2626', '#7c3aed', '#0891b2', '#be185d', '#4d7c0f')
"""Colours of the conditions in the plots, in order."""

STYLE: Any = {
    'font.family': 'DejaVu Sans',
    'font.size': 11,
    'text.color': INK,
    'axes.labelcolor': INK,
    'axes.edgecolor': '#c3c9d4',
    'axes.titlesize': 11,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#e6e9ef',
    'xtick.color': INK,
    'ytick.color': INK,
    'legend.frameon': False,
    'figure.facecolor': PAPER,
}
"""Matplotlib settings of every picture; set around the drawing only."""

UNKNOWN, NO_TRUTH = np.array((56, 61, 74)), np.array((216, 221, 229))
"""Colours of pixels without a depth, and of those without a truth to compare with."""

DEPTH_TICKS = (0.5, 1, 2, 3, 5, 10, 20, 30, 50, 80, 120)
"""Metres that may be marked on the logarithmic depth bar."""


def png(figure: Figure, maps: Sequence[str] = (), dpi: int = 100, share: float = 1.0) -> bytes:
    """
    Draw a figure as a PNG; with a palette where it shows maps, which makes it a third as large.

    :param figure: figure to draw.
    :param maps: colour maps in it, none for a plot of lines.
    :param dpi: pixels per inch; :param share: see encode.
    :returns: content of the file.
    """
    canvas: Any = FigureCanvasAgg(figure)
    figure.set_dpi(dpi)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    if maps:
        return encode(pixels, maps, share)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, 'PNG', optimize=True)
    return buffer.getvalue()


def encode(pixels: NDArray[np.uint8], maps: Sequence[str] = (), share: float = 1.0) -> bytes:
    """
    Encode a picture as a PNG with a palette.

    :param pixels: (H, W, 3) RGB.
    :param maps: colour maps that the picture was made with: their colours are the palette, with
        text and lines in shades of grey. Without any the palette is taken from the picture.
    :param share: part of the palette that is used; less makes the file smaller.
    :returns: content of the file.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if maps:
        palette = Image.new('P', (1, 1))
        palette.putpalette(_palette(maps, share).tobytes())
        small = image.quantize(palette=palette, dither=Image.Dither.NONE)
    else:
        palette = image.quantize(256, method=Image.Quantize.MEDIANCUT)
        small = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    buffer = io.BytesIO()
    small.save(buffer, 'PNG', optimize=True)
    return buffer.getvalue()


def _palette(maps: Sequence[str], share: float) -> NDArray[np.uint8]:
    """Colours of some colour maps, then greys from ink to paper and what means unknown."""
    count = int((256 - 26) // len(maps) * share)
    steps = np.linspace(0, 1, count)
    colours = [mpl.colormaps[name](steps)[:, :3] * 255 for name in maps]
    greys = np.linspace((29, 36, 51), (255, 255, 255), 24)
    every = np.concatenate([*colours, greys, UNKNOWN[None], NO_TRUTH[None]])
    return np.round(every).astype(np.uint8)


def thermal_picture(raw: NDArray[Any]) -> NDArray[np.uint8]:
    """
    Make a thermal image visible to a person: contrast stretched and locally equalised, coloured.

    :param raw: (H, W) counts of any integer type.
    :returns: (H, W, 3) RGB; cold is dark, warm is bright.
    """
    values = raw.astype(np.float32)
    low, high = np.percentile(values, [0.5, 99.5])
    grey = np.clip((values - low) / max(high - low, 1.0), 0, 1)
    local = cv2.createCLAHE(2.0, (4, 4)).apply((grey * 255).astype(np.uint8))
    table = (mpl.colormaps['inferno'](np.arange(256))[:, :3] * 255).astype(np.uint8)
    return np.asarray(table[local], np.uint8)


def depth_norm(depth: NDArray[np.floating]) -> Normalize:
    """
    Logarithmic scale that covers a depth image without its outliers.

    :param depth: metres; NaN and inf are left out.
    """
    values = depth[np.isfinite(depth) & (depth > 0)]
    low, high = np.percentile(values, [1, 99]) if values.size else (1.0, 50.0)
    low, high = max(low * 0.95, 0.1), max(high * 1.05, low * 2)
    return mpl.colors.LogNorm(float(low), float(high))


def picture_tile(picture: NDArray[np.uint8], maps: Sequence[str] = (), most: int = 640) -> bytes:
    """
    Encode a picture as it is; a wide one is made smaller.

    :param picture: (H, W, 3) RGB.
    :param maps: colour maps it was made with, none for a photo.
    :param most: largest width in px.
    :returns: PNG.
    """
    return encode(picture if picture.shape[1] <= most else widened(picture, most), maps)


def widened(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """
    Picture at a given width.

    :param picture: (H, W, 3).
    :param width: px.
    """
    height = round(picture.shape[0] * width / picture.shape[1])
    how = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)


def map_tile(
    values: NDArray[np.floating],
    kind: str,
    norm: Normalize | None = None,
    width: int = 560,
) -> bytes:
    """
    A map with its colour bar below.

    :param values: (H, W); NaN is unknown.
    :param kind: 'depth' in metres, 'confidence' in 0..1, or 'error' as |p - g| / g.
    :param norm: scale of a depth map.
    :param width: px.
    :returns: PNG.
    """
    if kind == 'depth':
        norm = norm or depth_norm(values)
    height = width * values.shape[0] / values.shape[1]
    bar = 68
    with mpl.rc_context(STYLE):
        figure = Figure((width / 100, (height + bar) / 100))
        share = bar / (height + bar)
        axes = figure.add_axes((0, share, 1, 1 - share))
        axes.imshow(map_colours(values, kind, norm), interpolation='nearest', aspect='auto')
        axes.set_axis_off()
        bar_of_map(figure, (0.04, share * 0.72, 0.92, share * 0.18), kind, norm, label_y=0.008)
        return png(figure, [_scale(kind, norm)[1]])


def _scale(kind: str, norm: Normalize | None) -> tuple[Normalize, str, list[float], str]:
    """Scale, colour map, ticks and label of a kind of map."""
    if kind == 'depth':
        norm = norm or mpl.colors.LogNorm(0.5, 80)
        low, high = float(norm.vmin or 0), float(norm.vmax or 0)
        return norm, 'turbo_r', [t for t in DEPTH_TICKS if low <= t <= high], 'depth [m]'
    if kind == 'confidence':
        return mpl.colors.Normalize(0, 1), 'viridis', [0, 0.25, 0.5, 0.75, 1], 'confidence'
    return mpl.colors.Normalize(0, 0.5), 'magma', [0, 0.1, 0.2, 0.3, 0.4, 0.5], 'error |p − g| / g'


def map_colours(
    values: NDArray[np.floating], kind: str, norm: Normalize | None = None
) -> NDArray[np.uint8]:
    """
    Colours of a map; what is unknown is grey.

    :param values: (H, W); NaN is unknown.
    :param kind: 'depth' (near is red, far is blue), 'confidence' or 'error'.
    :param norm: scale of a depth map.
    :returns: (H, W, 3) RGB.
    """
    scale, cmap, _, _ = _scale(kind, norm)
    finite = np.isfinite(values)
    scaled = np.clip(np.asarray(scale(np.where(finite, values, 1.0)), np.float64), 0, 1)
    colours = np.asarray(mpl.colormaps[cmap](np.linspace(0, 1, 256)))[:, :3]
    table = np.round(colours * 255).astype(np.uint8)
    picture = table[np.round(scaled * 255).astype(np.uint8)]
    picture[~finite] = NO_TRUTH if kind == 'error' else UNKNOWN
    return np.asarray(picture, np.uint8)


def bar_of_map(
    figure: Figure,
    place: tuple[float, float, float, float],
    kind: str,
    norm: Normalize | None = None,
    *,
    size: float = 11,
    label_y: float = 0.0,
) -> None:
    """
    Draw the horizontal colour bar of a map.

    :param figure: where to.
    :param place: left, bottom, width, height as shares of the figure.
    :param kind: see map_tile; :param norm: scale of a depth map.
    :param size: of the text in points.
    :param label_y: bottom of the label as a share of the figure.
    """
    scale, cmap, ticks, label = _scale(kind, norm)
    axes = figure.add_axes(place)
    mappable = mpl.cm.ScalarMappable(scale, cmap)
    bar = figure.colorbar(mappable, cax=axes, orientation='horizontal')
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.xaxis.set_major_locator(FixedLocator(ticks))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f'{v:g}'))
    bar.ax.tick_params(labelsize=size, length=3, pad=2)
    middle = place[0] + place[2] / 2
    figure.text(middle, label_y, label, ha='center', va='bottom', fontsize=size)


def cloud_tile(
    points: NDArray[np.floating],
    view: str,
    colour: NDArray[np.floating] | None = None,
    reference: NDArray[np.floating] | None = None,
    *,
    reference_name: str = 'truth',
    reach: float | None = None,
    size: tuple[int, int] = (760, 380),
    up: str = 'height [m]',
) -> bytes:
    """
    A point cloud seen from the side or from above, with axes in metres.

    :param points: (N, 3) x forward, y left, z up, metres.
    :param view: 'side' (forward to the right, up) or 'above' (forward to the right, left up).
    :param colour: (N,) confidences for the colours; None colours by height.
    :param reference: (M, 3) points drawn in grey below: the truth or the LiDAR.
    :param reference_name: what these are, for the legend.
    :param reach: metres forward that are shown; None takes the 90th percentile, at most 40 m.
    :param size: width and height in px.
    :param up: label of the upward axis of the side view.
    :returns: PNG.
    """
    with mpl.rc_context(STYLE):
        figure = Figure((size[0] / 100, size[1] / 100), layout='constrained')
        axes = figure.add_subplot()
        mappable, label = draw_cloud(axes, points, view, colour, reference, reach)
        axes.set_xlabel('forward [m]')
        axes.set_ylabel(up if view == 'side' else 'left [m]')
        bar = figure.colorbar(mappable, ax=axes, pad=0.01, aspect=30)
        bar.set_label(label)
        bar.outline.set_visible(False)  # type: ignore[operator]
        if reference is not None:
            axes.scatter([], [], s=14, c='#aab1be', label=reference_name)
            axes.legend(loc='upper left', fontsize=9, handletextpad=0.1, borderaxespad=0.2)
        return png(figure, ['viridis'])


def draw_cloud(
    axes: Axes,
    points: NDArray[np.floating],
    view: str,
    colour: NDArray[np.floating] | None,
    reference: NDArray[np.floating] | None,
    reach: float | None,
    mark: float = 1.0,
) -> tuple[ScalarMappable, str]:
    """
    Draw a cloud into axes.

    :param axes: where to; see cloud_tile for the other parameters.
    :param mark: area of a point in px².
    :returns: colour scale and its label.
    """
    row = 2 if view == 'side' else 1
    if reach is None:
        reach = min(float(np.percentile(points[:, 0], 90)) * 1.1, 40.0) if len(points) else 20.0
    reach = max(reach, 2.0)
    inside = points[points[:, 0] < reach]
    inside = inside if len(inside) else np.zeros((1, 3), np.float32)
    low, high = np.percentile(inside[:, 2], [1, 99])
    if colour is None:
        values, label = points[:, 2], 'height [m]'
        norm, cmap = mpl.colors.Normalize(float(low), float(max(high, low + 0.5))), 'viridis'
    else:
        values, label = colour, 'confidence'
        norm, cmap = mpl.colors.Normalize(0, 1), 'viridis'
    if reference is not None:
        shown = thin(reference, 15000)
        axes.scatter(
            shown[:, 0], shown[:, row], s=mark, c='#b9c0cc', linewidths=0, rasterized=True
        )
    index = np.arange(len(points))[:: max(len(points) // 25000, 1)]
    # far points last would hide near ones from the side: draw from far to near
    index = index[np.argsort(-points[index, 0])]
    axes.scatter(
        points[index, 0], points[index, row], s=mark, c=values[index], cmap=cmap, norm=norm,
        linewidths=0, rasterized=True,
    )  # fmt: skip
    axes.set_xlim(0, reach)
    if view == 'side':
        bottom, top = np.percentile(inside[:, 2], [0.5, 99.5])
        margin = max(0.12 * (top - bottom), 0.4)
        axes.set_ylim(bottom - margin, top + margin)
    else:
        half = max(float(np.percentile(np.abs(inside[:, 1]), 99)) * 1.05, 1.0)
        axes.set_ylim(-half, half)
    return mpl.cm.ScalarMappable(norm, cmap), label


def thin(points: NDArray[np.floating], most: int) -> NDArray[np.floating]:
    """
    Every n-th point, so that at most a given number (and a half) is left.

    :param points: (N, 3).
    :param most: wanted number.
    """
    return points[:: max(len(points) // most, 1)]
