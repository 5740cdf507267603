"""How far apart two colours are, also for people with a colour vision deficiency, and their contrast."""

from collections.abc import Iterable
from itertools import combinations
from math import atan2, cos, degrees, exp, hypot, radians, sin, sqrt

Rgb = tuple[float, float, float]
"""Red, green and blue from 0 to 1."""

# Machado, Oliveira and Fernandes 2009, severity 1.0; the matrices are for linear RGB.
VISIONS = {
    "normal": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def linear_rgb(hex_colour: str) -> Rgb:
    """The linear RGB of a colour such as `#58a6ff`."""
    red, green, blue = (_linear(int(hex_colour[start : start + 2], 16) / 255) for start in (1, 3, 5))
    return red, green, blue


def _dot(row: Rgb, colour: Rgb) -> float:
    return sum(factor * value for factor, value in zip(row, colour, strict=True))


def seen_as(colour: Rgb, vision: str) -> Rgb:
    """The linear RGB that a person with this vision sees."""
    red, green, blue = (min(max(_dot(row, colour), 0.0), 1.0) for row in VISIONS[vision])
    return red, green, blue


def lab(colour: Rgb) -> Rgb:
    """CIE L*a*b* for the white point D65."""
    rows = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
    white = (0.95047, 1.0, 1.08883)
    x, y, z = (_cube_root(_dot(row, colour) / reference) for row, reference in zip(rows, white, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _cube_root(value: float) -> float:
    return value ** (1 / 3) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116


def delta_e(first: Rgb, second: Rgb) -> float:
    """CIEDE2000 of two L*a*b* colours, with the names of Sharma, Wu and Dalal 2005."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    mean_c7 = ((hypot(a1, b1) + hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - sqrt(mean_c7 / (mean_c7 + 25**7)))
    c1, c2 = hypot(a1 * (1 + g), b1), hypot(a2 * (1 + g), b2)
    h1, h2 = degrees(atan2(b1, a1 * (1 + g))) % 360, degrees(atan2(b2, a2 * (1 + g))) % 360
    has_hues = c1 * c2 != 0
    step = (h2 - h1 + 180) % 360 - 180 if has_hues else 0.0
    dl, dc, dh = l2 - l1, c2 - c1, 2 * sqrt(c1 * c2) * sin(radians(step / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    mean_h = _mean_hue(h1, h2) if has_hues else h1 + h2
    t = (
        1
        - 0.17 * cos(radians(mean_h - 30))
        + 0.24 * cos(radians(2 * mean_h))
        + 0.32 * cos(radians(3 * mean_h + 6))
        - 0.20 * cos(radians(4 * mean_h - 63))
    )
    sl = 1 + 0.015 * (mean_l - 50) ** 2 / sqrt(20 + (mean_l - 50) ** 2)
    sc, sh = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    rotation = 2 * sqrt(mean_c**7 / (mean_c**7 + 25**7)) * sin(radians(60 * exp(-(((mean_h - 275) / 25) ** 2))))
    return sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 - rotation * (dc / sc) * (dh / sh))


def _mean_hue(first: float, second: float) -> float:
    if abs(first - second) <= 180:
        return (first + second) / 2
    return (first + second + (360 if first + second < 360 else -360)) / 2


def least_distance(hex_colours: Iterable[str], vision: str) -> float:
    """The smallest CIEDE2000 between any two of the colours in this vision."""
    labs = [lab(seen_as(linear_rgb(colour), vision)) for colour in hex_colours]
    return min(delta_e(first, second) for first, second in combinations(labs, 2))


def chroma(hex_colour: str) -> float:
    """How colourful a colour is: 0 for a grey, about 100 for a pure red."""
    _, a, b = lab(linear_rgb(hex_colour))
    return hypot(a, b)


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG 2, from 1 to 21."""
    darker, lighter = sorted(_dot((0.2126, 0.7152, 0.0722), linear_rgb(colour)) for colour in (first, second))
    return (lighter + 0.05) / (darker + 0.05)
