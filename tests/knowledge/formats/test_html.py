import pytest

from apps.knowledge.extraction.sections import Section
from apps.knowledge.media_types import HTML


def texts(read, html):
    return [section.text for section in read(html.encode(), HTML)]


def test_a_page_is_cut_at_its_headings(read):
    html = "<title>No</title><p>Before</p><h1>One <em>word</em></h1><p>a</p><h3>Two</h3>b<h2> </h2><p>c"

    assert read(html.encode(), HTML) == [
        Section("Before"),
        Section("One word\n\na", heading="One word"),
        Section("Two\n\nb", heading="Two"),
        Section("c"),
    ]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one<br>two</p>three <b>b</b>old", "one\ntwo\n\nthree bold"),
        ("<div>one <div>two</div> three</div>", "one\ntwo\nthree"),
        ("<p>a\n  b &amp; &lt;c&gt; so&shy;ft</p>", "a b & <c> soft"),
        ("<ul><li>one<li>two</ul><dl><dt>t<dd>d</dl>", "one\ntwo\n\nt\nd"),
        ("<pre>a  b\n  c</pre><textarea>x  y</textarea>", "a  b\n  c\n\nx  y"),
        ("<p>see<img alt='a cat' src=x>there<img src=y></p>", "see a cat there"),
        ("<form><label>Name</label><select><option>A<option>B</select></form>", "Name\nA\nB"),
        ("<p>2 * 3 [x](y) # _z_</p>", "2 * 3 [x](y) # _z_"),
        ("<p>漢<ruby>字<rp>(</rp><rt>ji</rt><rp>)</rp></ruby></p>", "漢字"),
        ("<details><summary>More</summary>Less</details>", "More\nLess"),
    ],
    ids=["break", "div", "entities", "list", "as-it-is", "image", "form", "marks", "ruby", "details"],
)
def test_text_comes_out_as_a_browser_shows_it(read, html, text):
    assert texts(read, html) == [text]


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>no</script>",
        "<style>no</style>",
        "<nav><a href=/>no</a></nav>",
        "<template><p>no</p></template>",
        "<noscript>no</noscript>",
        "<svg><text>no</text></svg>",
        "<p hidden>no</p>",
        "<p style='color: red; display : none'>no</p>",
        "<p style='visibility:hidden'>no</p>",
        "<input type=hidden value=no>",
        "<!-- no -->",
    ],
)
def test_what_a_browser_hides_is_left_out(read, hidden):
    assert texts(read, f"<body><p>yes</p>{hidden}<p style='color: red'>and yes</p>") == ["yes\n\nand yes"]


def test_a_table_is_a_line_per_row(read):
    html = (
        "<table><caption>Prices</caption><thead><tr><th>A<th>B<tbody><tr><td><p>1</p><td>2 <br>3"
        "<tr><td colspan=2>wide<tr><td><td></table>after"
    )

    assert texts(read, html) == ["Prices\n\nA | B\n1 | 2 3\nwide\n\nafter"]


def test_a_table_made_for_the_layout_reads_as_text(read):
    inner = "<table><tr><td>a<td>b</table>"
    html = f"<table><tr><td>left</td><td>top<h1>News</h1><p>one</p><p>two</p></td><td>{inner}</td></tr></table>"

    assert texts(read, html) == ["left\n\ntop\n\nNews\n\none\n\ntwo\n\na | b"]


def test_the_declared_encoding_is_believed_where_the_bytes_allow_it(read):
    polish = '<html><meta charset="iso-8859-2"><body><p>Zażółć gęślą jaźń</p></body></html>'.encode("iso-8859-2")
    xhtml = '<?xml version="1.0" encoding="iso-8859-2"?><html><body>gęś'.encode("iso-8859-2")
    odd = '<html><meta charset="klingon"><body><p>Größe</p></body></html>'.encode("latin-1")

    assert read(polish, HTML) == [Section("Zażółć gęślą jaźń")]
    assert read(xhtml, HTML) == [Section("gęś")]
    assert read(odd, HTML) == [Section("Größe")]


@pytest.mark.parametrize(
    "start",
    [
        '<?xml version="1.0"?><!DOCTYPE html><html>',
        '\ufeff<html xmlns="http://www.w3.org/1999/xhtml">',
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN"\n"x.dtd"><html>',
    ],
)
def test_an_element_of_xhtml_that_closes_itself_swallows_nothing(read, start):
    head = "<head><title/><script src='a/>b' /><style type=\"text/css\"/></head>"
    body = "<body><a id='x'/>one<br/>two<p hidden='hidden'/> three <img alt='a/b' src='c/'/></body>"

    assert texts(read, f"{start}{head}{body}</html>") == ["one\ntwo three a/b"]


def test_stray_control_bytes_do_not_matter(read):
    assert texts(read, "<html><body>\x04Name: \x07\x03Grüße\x08") == ["Name: Grüße"]


def test_a_page_without_words_is_empty(refused):
    assert refused(b"<html><script>x</script></html>", HTML) == "empty"


def test_deep_nesting_needs_no_deep_stack(read):
    assert texts(read, "<b>" * 3000 + "deep" + "</b>" * 3000) == ["deep"]
