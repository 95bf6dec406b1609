from apps.knowledge.extraction.sections import Section
from apps.knowledge.media_types import MARKDOWN, TEXT


def test_text_is_one_section_and_markdown_one_per_heading(read):
    assert read(b"# a\r\n\r\nb\r\n", TEXT) == [Section("# a\n\nb")]
    assert read(b"# a\r\n\r\nb\r\n", MARKDOWN) == [Section("a\n\nb", heading="a")]


def test_a_file_of_marks_alone_is_empty(refused):
    assert refused(b"#\n\n##  \n", MARKDOWN) == "empty"
    assert refused(b" \n ", TEXT) == "empty"
    assert refused(b"\x00\x00", TEXT) == "corrupt"
