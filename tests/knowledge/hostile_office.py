"""Word, Excel, PowerPoint and EPUB files whose XML is the weapon."""

from tests.knowledge import files, office_files
from tests.knowledge.files import WORD, changed, word
from tests.knowledge.hostile_files import LITTLE, Hostile, Says

LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)) + "]>"
)
QUADRATIC = f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]>'
OF_A_FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
OF_A_SERVER = '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:9/a"> %a;]>'
NAMED_OUTSIDE = '<!DOCTYPE x SYSTEM "file:///etc/passwd">'
DEFINITIONS = {"laughs": LAUGHS, "quadratic": QUADRATIC, "file": OF_A_FILE, "server": OF_A_SERVER}


def paragraph(text):
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def with_prolog(content, root, prolog):
    """The same file; before this root element stands a prolog, and its first text is an entity."""
    return changed(content, lambda part: prolog + part.replace("Herons", "&a;&a11;") if part.startswith(root) else part)


SLIDES = office_files.pptx(office_files.shape("Herons"))
CELL = '<row><c t="inlineStr"><is><t>Herons</t></is></c></row>'
BOOK = office_files.xlsx({"One": CELL})
EPUB = files.epub({"a.xhtml": "<html><body><p>Herons</p></body></html>"})
FORMATS = {
    "docx": (files.docx("Herons"), "<w:document"),
    "pptx": (SLIDES, "<p:sld "),
    "xlsx": (BOOK, "<worksheet"),
    "epub": (EPUB, "<package"),
}


def entities():
    for suffix, (content, root) in FORMATS.items():
        for name, prolog in DEFINITIONS.items():
            yield Hostile(
                f"entities in {suffix}: {name}",
                f"a.{suffix}",
                lambda content=content, root=root, prolog=prolog: with_prolog(content, root, prolog),
                "corrupt",
            )


def chapter(prolog):
    return files.epub({"a.xhtml": f"{prolog}<html><body><p>Herons &a11; wade.</p></body></html>"})


def cells(row):
    return office_files.xlsx({"One": row}, texts=("first",))


def slides_repeated(times):
    """One slide of some megabytes, shown over and over."""
    once = office_files.pptx(office_files.shape(*["Herons wade. " * 80_000] * 10))
    listed = '<p:sldId r:id="rId1"/>'
    return changed(once, lambda part: part.replace(listed, listed * times))


def chapters_repeated(times):
    once = files.epub({"a.xhtml": f"<html><body><p>{'Herons wade. ' * 80_000}</p></body></html>"})
    listed = '<itemref idref="c0"/>'
    return changed(once, lambda part: part.replace(listed, listed * times))


def spine_of_itself():
    """The list of chapters names itself as a chapter, and the table of contents too."""
    itself = '<item id="me" href="book.opf" media-type="application/xhtml+xml" properties="nav"/></manifest>'
    return changed(
        EPUB, lambda part: part.replace("</manifest>", itself).replace("<spine>", '<spine><itemref idref="me"/>')
    )


def deep(opening, closing, times, inside):
    return opening * times + inside + closing * times


def styles_in_a_circle():
    styles = "".join(f'<w:style w:styleId="s{n}"><w:basedOn w:val="s{(n + 1) % 50}"/></w:style>' for n in range(50))
    parts = {"word/styles.xml": f"<w:styles {WORD}>{styles}</w:styles>"}
    kind = '<w:pPr><w:pStyle w:val="s1"/></w:pPr>'
    return word(f"<w:p>{kind}<w:r><w:t>Herons</w:t></w:r></w:p>", parts, ("styles", "styles.xml"))


CONTROL, END_OF_CONTROL = "<w:sdt><w:sdtContent>", "</w:sdtContent></w:sdt>"
TABLE, END_OF_TABLE = "<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>"
HERONS = paragraph("Herons")

OFFICE = [
    *entities(),
    Hostile(
        "chapter with laughs",
        "a.epub",
        lambda: chapter(LAUGHS.replace("x [", "html [")),
        Says("]>\n\nHerons &a11; wade."),
    ),
    Hostile(
        "definitions outside",
        "a.docx",
        lambda: with_prolog(files.docx("Wade"), "<w:document", NAMED_OUTSIDE),
        Says("Wade"),
    ),
    Hostile(
        "prolog without end",
        "a.docx",
        lambda: with_prolog(files.docx("Wade"), "<w:document", "<!--" + " " * 70_000 + "-->"),
        "corrupt",
    ),
    Hostile("only empty paragraphs", "a.docx", lambda: word("<w:p/>" * 300_000), "empty"),
    Hostile("many empty paragraphs", "a.docx", lambda: word("<w:p/>" * 750_000 + HERONS), Says("Herons")),
    Hostile("controls in controls", "a.docx", lambda: word(deep(CONTROL, END_OF_CONTROL, 30_000, HERONS)), "corrupt"),
    Hostile("tables in tables", "a.docx", lambda: word(deep(TABLE, END_OF_TABLE, 20_000, HERONS)), "corrupt"),
    Hostile(
        "runs in runs, some",
        "a.docx",
        lambda: word(f"<w:p>{deep('<w:r>', '</w:r>', 100, '<w:t>Herons</w:t>')}</w:p>"),
        Says("Herons"),
    ),
    Hostile("styles in a circle", "a.docx", styles_in_a_circle, Says("Herons")),
    Hostile(
        "outline level that is no number",
        "a.docx",
        lambda: word('<w:p><w:pPr><w:outlineLvl w:val="x"/></w:pPr><w:r><w:t>a</w:t></w:r></w:p>'),
        "corrupt",
    ),
    Hostile(
        "relation to a file outside",
        "a.docx",
        lambda: changed(
            files.docx("Herons"), lambda part: part.replace('"word/document.xml"', '"../../../../etc/passwd"')
        ),
        "corrupt",
    ),
    Hostile(
        "a hundred thousand attributes",
        "a.docx",
        lambda: word(f"<w:p {' '.join(f'a{n}="1"' for n in range(100_000))}/>{HERONS}"),
        Says("Herons"),
    ),
    Hostile("shared text out of range", "a.xlsx", lambda: cells('<row><c t="s"><v>7</v></c></row>'), "corrupt"),
    Hostile("shared text before the first", "a.xlsx", lambda: cells('<row><c t="s"><v>-9</v></c></row>'), "corrupt"),
    Hostile(
        "claimed dimension",
        "a.xlsx",
        lambda: changed(BOOK, lambda part: part.replace("<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>')),
        Says("One\n\nHerons"),
    ),
    Hostile("only empty cells", "a.xlsx", lambda: cells('<row><c r="A1"/><c r="B1"/></row>' * 100_000), "empty"),
    Hostile(
        "cell in the last column",
        "a.xlsx",
        lambda: cells('<row><c r="A1"><v>1</v></c><c r="XFD1"><v>2</v></c></row>'),
        Says("One\n\n1" + " | " * 31 + "2"),
    ),
    Hostile(
        "cell in a column of a thousand letters",
        "a.xlsx",
        lambda: cells(f'<row><c r="A1"><v>1</v></c><c r="{"Z" * 1000}1"><v>2</v></c></row>'),
        Says("One\n\n1" + " | " * 31 + "2"),
    ),
    Hostile(
        "number beyond every number",
        "a.xlsx",
        lambda: cells(f"<row><c><v>1e999</v></c><c><v>{'9' * 400}</v></c></row>"),
        Says("One\n\n1e999 | " + "9" * 400),
    ),
    Hostile("number that is none", "a.xlsx", lambda: cells("<row><c><v>ten</v></c></row>"), "corrupt"),
    Hostile(
        "style of five thousand digits",
        "a.xlsx",
        lambda: cells(f'<row><c s="{"9" * 5000}"><v>1</v></c></row>'),
        "corrupt",
    ),
    Hostile(
        "escaped halves of characters",
        "a.xlsx",
        lambda: cells('<row><c t="inlineStr"><is><t>a_xD800_b_x0000_c</t></is></c></row>'),
        Says("One\n\nabc"),
    ),
    Hostile("a slide over and over", "a.pptx", lambda: slides_repeated(200), "too_big", LITTLE),
    Hostile(
        "groups in groups",
        "a.pptx",
        lambda: office_files.pptx(deep("<p:grpSp>", "</p:grpSp>", 30_000, office_files.shape("Herons"))),
        "corrupt",
    ),
    Hostile(
        "slide that is nowhere",
        "a.pptx",
        lambda: changed(SLIDES, lambda part: part.replace("slide1.xml", "slide9.xml")),
        "corrupt",
    ),
    Hostile("a chapter over and over", "a.epub", lambda: chapters_repeated(2000), "too_big", LITTLE),
    Hostile("spine of itself", "a.epub", spine_of_itself, Says("Herons")),
    Hostile(
        "book outside the book",
        "a.epub",
        lambda: changed(EPUB, lambda part: part.replace("OEBPS/book.opf", "../../../etc/passwd")),
        "corrupt",
    ),
    Hostile(
        "chapter by an absolute address",
        "a.epub",
        lambda: changed(EPUB, lambda part: part.replace('href="a.xhtml"', 'href="file:///etc/passwd"')),
        "corrupt",
    ),
]
