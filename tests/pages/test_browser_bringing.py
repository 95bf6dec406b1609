"""Folders, archives, versions and passages in a real browser. Needs Chromium."""

import io
import zipfile

import pytest

from tests.pages.test_browser import NOTES

# With the others: see `test_browser.py`.
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def folder(tmp_path):
    """A folder with two documents, one of them further down, a picture, and what a system leaves behind."""
    below = tmp_path / "handbook" / "chapters"
    below.mkdir(parents=True)
    (below.parent / NOTES[0]).write_text(NOTES[1])
    (below / "two.TXT").write_text("The heron stands in the reeds.")
    (below / "cover.png").write_bytes(b"\x89PNG")
    (below / ".DS_Store").write_bytes(b"x")
    return below.parent


def drop_for_real(page, path):
    """Drop a file or a folder of the disk on the page, as a file manager does."""
    session = page.context.new_cdp_session(page)
    box = page.locator("#drop").bounding_box()
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {"type": kind, "x": box["x"] + 20, "y": box["y"] + 20, "data": data}
        session.send("Input.dispatchDragEvent", event)


def test_a_dropped_folder_is_walked_and_what_is_no_document_left_out_with_a_word(visit, folder):
    alice = visit()
    alice.register()

    drop_for_real(alice.page, folder)
    alice.wait_for_state("ready", 2)

    assert sorted(alice.page.locator(".row .title").all_text_contents()) == ["two", "walrus"]
    left_out = alice.page.text_content("#sending")
    assert "1 file left out" in left_out
    assert "cover.png" in left_out
    assert ".DS_Store" not in left_out


def test_a_chosen_folder_is_walked_too(visit, folder):
    alice = visit()
    alice.register()

    with alice.page.expect_file_chooser() as chooser:
        alice.page.click("text=Choose a folder")
    chooser.value.set_files(folder)
    alice.wait_for_state("ready", 2)

    assert "cover.png" in alice.page.text_content("#sending")


def test_files_beyond_the_limit_wait_and_then_go(visit):
    alice = visit()
    alice.register()
    refused = []

    def once(route):
        if route.request.method == "POST" and not refused:
            refused.append(route.request.url)
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"detail": "Later.", "code": "rate_limited"})
        else:
            route.continue_()

    alice.page.route("**/documents", once)

    alice.drop(NOTES)
    alice.wait_for_state("ready")

    assert len(refused) == 1
    alice.complaints[:] = [said for said in alice.complaints if "429" not in said]


def test_a_dropped_archive_becomes_documents_and_says_what_it_left_out(visit, tmp_path):
    alice = visit()
    alice.register()
    alice.page.wait_for_selector("#live[data-live=open]")
    path = tmp_path / "songs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(*NOTES)
        archive.writestr("heron.txt", "The heron stands in the reeds.")
        archive.writestr("heron again.txt", "The heron stands in the reeds.")

    drop_for_real(alice.page, path)

    alice.page.wait_for_selector(".import[data-state=done]")
    alice.wait_for_state("ready", 2)
    row = alice.page.text_content(".import")
    assert "3 of 3 files" in row
    assert "2 became documents" in row
    assert "heron again.txt" in row
    assert "This content is in your documents already." in row


def test_an_archive_without_the_script(visit):
    alice = visit(java_script_enabled=False)
    alice.register()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(*NOTES)
    file = {"name": "songs.zip", "mimeType": "application/zip", "buffer": content.getvalue()}

    alice.page.set_input_files("#file", file)
    alice.page.click("button:has-text('Upload')")

    alice.page.wait_for_selector(".import")
    assert "songs.zip" in alice.page.text_content(".import")


def ready_document(visitor):
    visitor.register()
    visitor.drop(NOTES)
    visitor.wait_for_state("ready")
    visitor.page.click(".row .title a")
    visitor.page.wait_for_selector("#progress[data-status=ready]")


def test_a_new_version_answers_without_a_reload_and_the_old_one_comes_back(visit):
    alice = visit()
    ready_document(alice)
    second = {"name": "second.md", "mimeType": "text/markdown", "buffer": b"# Songs\n\nThe heron sings at noon.\n"}

    alice.page.set_input_files("#version-file", second)
    alice.page.click("text=Upload it")
    alice.page.wait_for_selector("[data-version='2'] .answers")
    alice.page.click("[data-version='1'] >> text=Go back to this one")

    alice.page.wait_for_selector("[data-version='1'] .answers")
    assert alice.page.locator("[data-version]").count() == 2


def test_a_passage_is_put_right_in_its_place(visit):
    alice = visit()
    ready_document(alice)
    alice.page.click("#its-passages")
    alice.page.evaluate("window.stillTheSamePage = true")

    alice.page.click(".passage summary")
    alice.page.fill(".passage textarea", "The heron sings at noon.")
    alice.page.click("text=Save")
    alice.page.wait_for_selector(".mark-edited")
    alice.page.click("text=Hide from searches")
    alice.page.wait_for_selector(".mark-hidden")

    assert alice.page.evaluate("window.stillTheSamePage")
    assert "The heron sings at noon." in alice.page.text_content(".passage blockquote")
    alice.page.click("text=Back to the original")
    alice.page.wait_for_selector(".mark-edited", state="detached")
    assert "walrus" in alice.page.text_content(".passage blockquote")


def test_a_refused_text_is_explained_and_stays(visit):
    alice = visit()
    ready_document(alice)
    alice.page.click("#its-passages")
    alice.page.click(".passage summary")

    alice.page.fill(".passage textarea", "   ")
    alice.page.click("text=Save")

    alice.page.wait_for_selector("#toast:has-text('between 1 and 4000')")
    assert alice.page.input_value(".passage textarea") == "   "
    alice.complaints[:] = [said for said in alice.complaints if "422" not in said]


def test_a_passage_is_put_right_without_the_script(visit):
    alice = visit()
    ready_document(alice)
    plain = visit(java_script_enabled=False, storage_state=alice.context.storage_state())
    plain.go(alice.page.evaluate("location.pathname") + "/passages")

    plain.page.click(".passage summary")
    plain.page.fill(".passage textarea", "The heron sings at noon.")
    plain.page.click("text=Save")

    plain.page.wait_for_selector(".mark-edited")
    assert "#passage-" in plain.page.url


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_scrolls_sideways_and_everything_can_be_touched(visit, scheme, width):
    alice = visit(color_scheme=scheme)
    alice.page.set_viewport_size({"width": width, "height": 844})
    ready_document(alice)
    document = alice.page.evaluate("location.pathname")

    for path in ("/documents", document, f"{document}/passages"):
        alice.go(path)
        alice.page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        assert alice.page.evaluate("document.documentElement.scrollWidth") <= width, path
        small = alice.page.evaluate(
            """[...document.querySelectorAll('button, .button, nav a, input:not([type=hidden]), select, summary')]
               .filter((part) => part.checkVisibility() && part.getBoundingClientRect().height < 44)
               .map((part) => part.outerHTML.slice(0, 80))"""
        )
        assert small == [], path
