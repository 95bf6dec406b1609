"""What can be measured about the look: contrast, and nothing inline that the content policy would refuse."""

import re
from pathlib import Path

import pytest
from django.conf import settings

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
CSS = settings.BASE_DIR / "shared" / "static" / "hub"
TOKEN = re.compile(r"--([\w-]+): light-dark\(#(\w{6}), #(\w{6})\);")

# Text and what it stands on: 4.5 : 1 (WCAG 2.2, 1.4.3).
TEXT = [
    *((ink, paper) for ink in ("ink", "ink-soft", "accent") for paper in ("paper", "surface", "raised")),
    ("on-accent", "accent"),
    ("on-accent", "accent-hover"),
    ("accent", "accent-wash"),
    ("good", "good-wash"),
    ("busy", "busy-wash"),
    ("bad", "bad-wash"),
    ("ink", "bad-wash"),
    ("bad", "surface"),
    ("surface", "bad"),
    ("calm", "calm-wash"),
    ("ink-soft", "calm-wash"),
    ("ink", "mark"),
]
# Edges that show where to press or type: 3 : 1 (1.4.11).
EDGES = [("line-strong", "surface"), ("line-strong", "paper"), ("accent", "surface"), ("busy", "line")]


def tokens():
    return {name: (light, dark) for name, light, dark in TOKEN.findall((CSS / "tokens.css").read_text())}


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("pair", "least"), [*((p, 4.5) for p in TEXT), *((p, 3.0) for p in EDGES)], ids=str)
def test_colours_can_be_told_apart(pair, least, scheme):
    front, back = (tokens()[name][scheme] for name in pair)

    assert contrast(front, back) >= least


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(Path(path).name))
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(template):
    text = template.read_text()

    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(Path(path).name))
def test_nothing_is_marked_safe(template):
    assert not re.search(r"\|safe\b|autoescape off|mark_safe", template.read_text())


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(Path(path).name))
def test_every_form_that_writes_carries_its_token(template):
    for form in re.findall(r"<form.*?</form>", template.read_text(), re.S):
        assert ('method="post"' in form) == ("{% csrf_token %}" in form)


def test_the_scripts_make_no_html_of_text():
    scripts = "".join(path.read_text() for path in CSS.glob("*.js"))

    assert "eval(" not in scripts
    assert not re.search(r"insertAdjacentHTML|outerHTML =|document\.write", scripts)
    assert scripts.count("innerHTML =") == 1  # one place, for fragments that the server escaped
