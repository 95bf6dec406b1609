import subprocess
import sys

import pytest

from apps.knowledge.extraction.sections import Section, markdown_sections, normalise, plain, reflow


def test_markdown_is_cut_at_its_headings():
    text = "before\n\n# One\n\nfirst\n\n## Two ##\n\nsecond\n\nThree\n=====\n\nthird"

    assert markdown_sections(text) == [
        Section("before"),
        Section("One\n\nfirst", heading="One"),
        Section("Two\n\nsecond", heading="Two"),
        Section("Three\n\nthird", heading="Three"),
    ]


def test_a_heading_inside_code_is_code():
    sections = markdown_sections("# Real\n\n```sh\n# comment\n~~~\n```\n\nafter\n\n~~~\n# other\n~~~")

    assert [section.heading for section in sections] == ["Real"]
    assert "# comment" in sections[0].text


def test_a_heading_without_text_keeps_its_words():
    assert markdown_sections("# Alone\n\n#\n") == [Section("Alone", heading="Alone")]


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("# C#", "C#"),
        ("## Two ##", "Two"),
        ("#  ", ""),
        ("# #", ""),
        ("#tag", ""),
        ("   # In", "In"),
        ("    # Out", ""),
    ],
)
def test_only_what_markdown_calls_a_heading_is_one(line, heading):
    assert [section.heading for section in markdown_sections(f"{line}\n\nbody")] == [heading]


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, "**a " * 100_000, "[^" * 100_000, " " * 200_000 + "|", "# a" + " " * 200_000 + "b", "*a" * 200_000],
    ids=["brackets", "strong", "notes", "table", "heading", "emphasis"],
)
def test_no_text_takes_for_ever(text):
    """Cut in a process that is killed after twenty seconds: a pattern that hangs holds on to its whole process."""
    code = "import sys; from apps.knowledge.extraction.sections import *; markdown_sections(sys.stdin.read())"
    subprocess.run([sys.executable, "-c", code], input=text, text=True, timeout=20, check=True)


def test_a_picture_inside_the_text_is_left_out_however_long_it_is():
    assert plain(f"![chart](data:image/png;base64,{'A' * 50_000}) below") == "chart below"


def test_front_matter_is_text_and_no_heading():
    sections = markdown_sections("---\ntitle: Refunds\n---\n\nbody")

    assert sections == [Section("title: Refunds\n\nbody")]


def test_a_rule_below_a_paragraph_or_a_table_makes_no_heading():
    text = "line one\nline two\n---\n\n| a | b |\n---\n\n---\n\n# H\n---\n"

    assert [section.heading for section in markdown_sections(text)] == ["", "H"]


def test_an_open_front_matter_is_a_rule():
    assert markdown_sections("---\nno end")[0].text == "---\nno end"


@pytest.mark.parametrize(
    ("markdown", "seen"),
    [
        ("**bold** and *slanted* and __strong__", "bold and slanted and strong"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ('[a link](https://x.example/(y) "t") ![a picture](data:image/png;base64,AAAA)', "a link a picture"),
        ("\\*escaped\\* \\_too\\_", "*escaped* _too_"),
        ("| a | b |\n| --- | :-: |\n| 1 | 2 |", "a | b\n1 | 2"),
        ("Ouch.[^2]\n\n[^2]: Fin.", "Ouch.\n\nFin."),
    ],
)
def test_marks_are_taken_off(markdown, seen):
    assert plain(markdown) == seen


def test_text_becomes_what_a_column_takes():
    assert normalise("a\x00b\r\nc\rd  \n\n\n\ne\ud800 \ufb01n so\u00adft\x0cnew") == "ab\nc\nd\n\ne fin soft\n\nnew"


def test_lines_broken_by_the_margin_are_joined():
    long = "this line is so long that it was surely broken"

    assert reflow(f"{long}\nhere\n\nEnd.\nshort\nlist") == f"{long} here\n\nEnd.\nshort\nlist"
