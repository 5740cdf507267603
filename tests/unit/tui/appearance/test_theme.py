"""The colours of our themes: contrast of text, and distance of the stages in four kinds of colour vision."""

import pytest
from tests.tui.colour_vision import VISIONS, chroma, contrast, delta_e, least_distance
from textual.theme import Theme

from upload_tui.errors import StyleError
from upload_tui.status import Stage
from upload_tui.tui.appearance.theme import FEW_COLOURS_THEME, THEMES, TOKEN_DEFAULTS, stylesheet_paths

PAINTED = [theme for theme in THEMES if theme.name != FEW_COLOURS_THEME]
STAGES = [f"stage-{stage}" for stage in Stage]
TEXTS = [*STAGES, "overdue", "quiet", "foreground", "primary", "secondary", "accent", "warning", "error", "success"]
BACKGROUNDS = ["background", "surface", "panel", "row-cursor", "row-highlight"]
_TEXT_CONTRAST, _DIM_CONTRAST = 4.5, 3.0
_MOST_CURSOR_CONTRAST = 1.6

every_theme = pytest.mark.parametrize("theme", PAINTED, ids=lambda theme: theme.name)


def colour(theme: Theme, name: str) -> str:
    """A base colour or a token of a theme."""
    value = theme.variables.get(name) or getattr(theme, name)
    assert isinstance(value, str)
    return value


@every_theme
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_text_can_be_read_on_every_background(theme: Theme, background: str) -> None:
    ratios = {name: contrast(colour(theme, name), colour(theme, background)) for name in TEXTS}
    assert {name: round(ratio, 2) for name, ratio in ratios.items() if ratio < _TEXT_CONTRAST} == {}
    assert contrast(colour(theme, "faint"), colour(theme, background)) >= _DIM_CONTRAST


@every_theme
@pytest.mark.parametrize("vision", VISIONS)
def test_stages_are_far_apart_in_every_vision(theme: Theme, vision: str) -> None:
    least = 20 if "safe" in theme.name else 10
    assert least_distance([colour(theme, stage) for stage in STAGES], vision) >= least


@every_theme
def test_late_uploads_have_a_colour_of_their_own(theme: Theme) -> None:
    overdue = colour(theme, "overdue")
    for stage in STAGES:
        assert least_distance([overdue, colour(theme, stage)], "normal") >= 14, stage
        for vision in VISIONS if "safe" in theme.name else ():
            assert least_distance([overdue, colour(theme, stage)], vision) >= 10, (stage, vision)


@every_theme
def test_dim_text_is_grey_and_calmer_than_plain_text(theme: Theme) -> None:
    background = theme.background or ""
    plain, quiet, faint = (colour(theme, name) for name in ("foreground", "quiet", "faint"))
    assert contrast(plain, background) > contrast(quiet, background) > contrast(faint, background)
    assert max(chroma(quiet), chroma(faint)) < 15 < min(chroma(colour(theme, name)) for name in ("overdue", *STAGES))


@every_theme
def test_the_cursor_does_not_outshine_the_badges(theme: Theme) -> None:
    """A badge is reversed text, so its contrast with the page is that of its colour."""
    assert contrast(colour(theme, "row-cursor"), theme.background or "") <= _MOST_CURSOR_CONTRAST
    assert contrast(colour(theme, "row-highlight"), theme.background or "") <= _MOST_CURSOR_CONTRAST


def test_every_theme_defines_every_token() -> None:
    for theme in THEMES:
        assert set(TOKEN_DEFAULTS) <= set(theme.variables), theme.name


# Sharma, Wu and Dalal 2005, table 1.
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, 2.4900, -0.0010), (50.0, -2.4900, 0.0011), 7.2195),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ],
)
def test_distances_agree_with_the_published_ones(
    first: tuple[float, float, float], second: tuple[float, float, float], expected: float
) -> None:
    assert delta_e(first, second) == pytest.approx(expected, abs=1e-4)


def test_contrasts_agree_with_the_published_ones() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#777777") == pytest.approx(4.48, abs=0.01)


def test_a_missing_stylesheet_is_an_error_of_the_installation() -> None:
    with pytest.raises(StyleError):
        stylesheet_paths(("app.tcss", "missing.tcss"))
