import pytest

from apps.knowledge.extraction.sections import Section
from apps.knowledge.media_types import SRT, VTT


def clock(seconds):
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},000"


def srt(*cues):
    """Cues as (start, end, text)."""
    lines = (f"{n}\n{clock(a)} --> {clock(b)}\n{text}\n" for n, (a, b, text) in enumerate(cues, start=1))
    return "\n".join(lines).encode()


def test_cues_become_stretches_that_end_with_a_sentence_after_half_a_minute(read):
    cues = [(second, second + 10, f"Part {second}" + "." * (second % 20 == 0)) for second in range(0, 70, 10)]

    assert read(srt(*cues), SRT) == [
        Section("Part 0. Part 10 Part 20.", seconds=0),
        Section("Part 30 Part 40. Part 50 Part 60.", seconds=30),
    ]


def test_a_stretch_ends_after_a_minute_though_nobody_takes_a_breath(read):
    sections = read(srt(*((second, second + 10, f"and{second}") for second in range(0, 130, 10))), SRT)

    assert [section.seconds for section in sections] == [0, 60, 120]
    assert " ".join(section.text for section in sections).split() == [f"and{second}" for second in range(0, 130, 10)]


def test_a_silence_ends_a_stretch(read):
    sections = read(srt((0, 35, "one"), (50, 55, "two"), (3655, 3658, "much later")), SRT)

    assert sections == [Section("one", seconds=0), Section("two", seconds=50), Section("much later", seconds=3655)]


def test_marks_of_subrip_are_taken_off_and_lines_after_an_empty_one_are_kept(read):
    text = "<i>Hello</i> {\\an8}there,\n1984\n\nsaid <font color='red'>he</font> & left\n"

    (section,) = read(srt((1, 2, text), (3, 4, "2 < 3")), SRT)

    assert section.text == "Hello there, 1984 said he & left 2 < 3"


def test_webvtt_has_notes_styles_names_and_speakers(read):
    content = (
        "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE\nnot said\n\nintro\n"
        "00:01.500 --> 00:04.000 align:start\n<v Roger Bingham>We are <c.loud>in</c> York &amp; more\n\n"
        "NOTE not said\n\n1:00:00.000 --> 1:00:01.000\n- <1:00:00.500>yes\n\n"
    )

    assert read(content.encode(), VTT) == [Section("We are in York & more", seconds=1), Section("- yes", seconds=3600)]


def test_captions_that_roll_up_the_screen_are_read_once(read):
    content = (
        "WEBVTT\n\n00:00.000 --> 00:02.000\nfirst line\n\n00:02.000 --> 00:02.010\nfirst line\n\n"
        "00:02.010 --> 00:04.000\nfirst line\nsecond line\n\n00:04.000 --> 00:06.000\nsecond line\nthird line\n"
    )

    assert read(content.encode(), VTT) == [Section("first line second line third line", seconds=0)]


def test_what_is_said_twice_is_read_twice(read):
    said = "No. No. Why not go there now Yes. Yes. We may and I will say so Good. Good."
    cues = [(n, n + 1, word) for n, word in enumerate(said.split())]

    assert read(srt(*cues), SRT)[0].text == said
    assert read(srt((1, 2, "No."), (2, 3, "No.")), SRT)[0].text == "No. No."


@pytest.mark.parametrize("content", [b"WEBVTT\n\n", b"WEBVTT\n\n00:01.000 --> 00:02.000\n<i></i>\n"])
def test_subtitles_without_a_word_are_empty(refused, content):
    assert refused(content, VTT) == "empty"
