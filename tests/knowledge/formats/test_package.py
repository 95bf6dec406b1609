import io
import weakref
import zipfile

import pytest

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.formats import package
from apps.knowledge.extraction.formats.package import open_package, resolve
from apps.knowledge.media_types import DOCX, XLSX
from tests.knowledge import files
from tests.knowledge.office_files import xlsx

_LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
_OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("definitions", [_LAUGHS, _OUTSIDE, "<!DOCTYPE x [ ]>"])
def test_xml_that_brings_definitions_is_refused(refused, definitions):
    harmful = files.changed(
        files.docx("hello"),
        lambda xml: xml.replace("<w:document", f"{definitions}<w:document") if "w:body" in xml else xml,
    )

    assert refused(harmful, DOCX) == "corrupt"


def test_also_where_the_part_is_read_piece_by_piece(refused, monkeypatch):
    monkeypatch.setattr(package, "_LONG_PART_BYTES", 0)
    content = xlsx({"S": "<row><c><v>1</v></c></row>"})
    harmful = files.changed(content, lambda xml: xml.replace("<worksheet", f"{_LAUGHS}<worksheet"))

    assert refused(harmful, XLSX) == "corrupt"


def test_also_in_another_encoding(refused):
    harmful = files.word("", {"word/document.xml": f"{_LAUGHS}<x>&b;</x>".encode("utf-16")})

    assert refused(harmful, DOCX) == "corrupt"


def test_a_prolog_without_end_is_refused(refused):
    assert refused(files.word("", {"word/document.xml": "<!-- -->" * 10_000 + "<x/>"}), DOCX) == "corrupt"


@pytest.mark.parametrize("limit", ["_MOST_BYTES_AS_A_TREE", "_MOST_BYTES_IN_ALL"])
def test_a_part_that_grows_beyond_the_limit_is_too_big(refused, monkeypatch, limit):
    monkeypatch.setattr(package, limit, 1000)

    assert refused(files.docx("a" * 2000), DOCX) == "too_big"


def test_a_long_part_of_the_strict_variant_is_read_too(read, monkeypatch):
    monkeypatch.setattr(package, "_LONG_PART_BYTES", 0)
    usual = files.docx(("Heading1", "Refunds"), "Within thirty days.")
    strict = files.changed(
        usual,
        lambda xml: xml.replace(
            "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
            "http://purl.oclc.org/ooxml/wordprocessingml/main",
        ),
    )

    assert read(strict, DOCX) == read(usual, DOCX)


def test_parts_of_an_encrypted_zip_ask_for_a_password(refused):
    content = bytearray(files.docx("hello"))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = len(archive.namelist())
    place = -1
    for _ in range(entries):
        place = content.index(b"PK\x01\x02", place + 1)
        content[place + 8] |= 1

    assert refused(bytes(content), DOCX) == "password_protected"


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 and nothing more",
        files.docx("hello")[:300],
        files.word("", {"_rels/.rels": files.relations_xml()}),
        files.word("<w:p>" * 1200 + "</w:p>" * 1200),
        files.word("<w:p><w:r>", {}),
        files.docx("hello").replace(b"word/document.xml", b"word/documenX.xml"),
    ],
    ids=["no zip", "cut off", "no main part", "nested for ever", "no xml", "part is missing"],
)
def test_damage_is_called_damage(refused, content):
    assert refused(content, DOCX) == "corrupt"


def test_parts_are_found_whatever_the_case_of_their_names(read):
    content = files.docx("hello").replace(b"word/document.xml", b"Word/Document.xml")

    assert read(content, DOCX)[0].text == "hello"


def test_a_relation_that_leads_out_of_the_file_is_no_part(tmp_path):
    path = tmp_path / "x.docx"
    link = files.relations_xml(("hyperlink", "https://x.example"), ("image", "a.png"))
    external = link.replace('Id="rId1"', 'Id="rId1" TargetMode="External"')
    path.write_bytes(files.word("", {"word/_rels/document.xml.rels": external}))

    with open_package(path) as found:
        assert found.relations("word/document.xml") == {"rId2": ("image", "word/a.png")}
        assert found.relations("word/other.xml") == {}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("slides/a.xml", "ppt/slides/a.xml"),
        ("../media/a%20b.png#x", "media/a b.png"),
        ("/word/a.xml", "word/a.xml"),
        ("../../../etc/passwd", "etc/passwd"),
    ],
)
def test_a_target_is_a_name_inside_the_package(target, name):
    assert resolve("ppt/presentation.xml", target) == name


def test_a_failure_inside_passes_through_as_it_is(tmp_path):
    path = tmp_path / "x.docx"
    path.write_bytes(files.docx("hello"))

    with pytest.raises(ExtractionFailed) as caught, open_package(path):
        raise ExtractionFailed("empty")
    assert caught.value.failure.code == "empty"


@pytest.mark.parametrize("limit", [0, 10**6], ids=["piece by piece", "whole"])
def test_only_the_first_parent_counts(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(package, "_LONG_PART_BYTES", limit)
    path = tmp_path / "x.zip"
    path.write_bytes(files.archive({"a.xml": "<r><x/><s><a/><b><s/></b></s><s><c/></s></r>"}))

    with open_package(path) as found:
        assert [child.tag for child in found.children("a.xml", "s")] == ["a", "b"]


def test_of_a_long_part_what_has_been_read_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "_LONG_PART_BYTES", 0)
    path = tmp_path / "x.zip"
    path.write_bytes(files.archive({"a.xml": f"<s>{'<a/>' * 50_000}</s>"}))

    with open_package(path) as found:
        children = found.children("a.xml", "s")
        seen = [weakref.ref(next(children)) for _ in range(1000)]

    assert sum(child() is not None for child in seen) <= 1
