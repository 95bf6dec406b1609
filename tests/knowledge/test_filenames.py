import pytest

from apps.knowledge.filenames import display_name, title_of
from shared.text import clean_line, has_forbidden_characters


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\alice\\report.pdf", "report.pdf"),
        ("a\x00b\r\nc.txt", "ab c.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("zero\u200bwidth\ufeff.txt", "zerowidth.txt"),
        ("half\ud800.txt", "half.txt"),
        ("  .hidden.  ", "hidden"),
        ("..", "document"),
        ("", "document"),
        ("<script>alert(1)</script>.html", "script>.html"),
        ("Cafe\u0301.txt", "Caf\u00e9.txt"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.txt",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.txt",
        ),
    ],
)
def test_a_name_is_shown_without_paths_and_tricks(given, shown):
    assert display_name(given) == shown


def test_a_long_name_keeps_its_suffix():
    name = display_name("x" * 500 + ".markdown")

    assert len(name) == 200
    assert name.endswith("x.markdown")


def test_a_long_name_without_a_suffix_is_cut():
    assert len(display_name("x" * 500)) == 200


@pytest.mark.parametrize(
    ("filename", "title"),
    [("report.v2.pdf", "report.v2"), ("README", "README"), ("a.very-long-suffix", "a.very-long-suffix")],
)
def test_a_title_is_the_name_without_its_suffix(filename, title):
    assert title_of(filename) == title


def test_a_line_break_in_a_title_is_a_space():
    assert clean_line("one\n two\tthree") == "one two three"


@pytest.mark.parametrize(
    ("text", "forbidden"), [("fine \u202e", False), ("a\x00b", True), ("a\nb", True), ("\ud800", True)]
)
def test_control_characters_and_half_surrogates_are_forbidden(text, forbidden):
    assert has_forbidden_characters(text) is forbidden
