"""Golden questions in a real browser: pinned beside an answer, told live when it slips. Needs Chromium."""

import pytest

from tests.pages.test_browser import LONG, NOTES, asleep

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SHARKS = ("sharks.md", "# Sharks\n\nSharks never sleep, and the whole harbour knows it.\n")
HOSTILE = "<img src=x onerror=window.awake=1> sings at dawn"


def pin_from_search(person, question):
    person.go("/search")
    person.page.fill("#question", question)
    person.page.press("#question", "Enter")
    person.page.click(".hit >> nth=0 >> text=This is the right answer")
    person.page.wait_for_selector(".hit .pinned")


def wait_for_rank(person, words):
    person.page.wait_for_function("words => document.querySelector('#golden .rank')?.textContent === words", arg=words)


def test_an_answer_is_pinned_and_its_loss_is_told_without_a_reload(visit):
    alice = visit()
    alice.register()
    alice.drop(NOTES, SHARKS)
    alice.wait_for_state("ready", 2)
    pin_from_search(alice, "who sings in the morning?")
    assert "q=who" in alice.page.url

    alice.page.click(".pinned a")
    wait_for_rank(alice, "First")
    alice.page.evaluate("window.stillTheSamePage = true")
    other = alice.context.new_page()
    other.goto(f"{alice.hub.url}/documents")
    other.click(".row >> text=walrus")
    other.click("#its-passages")
    other.click("text=Hide from searches")
    other.wait_for_selector(".mark-hidden")

    wait_for_rank(alice, "Not found, was first")
    assert "Searches found it before" in alice.page.text_content("#golden")
    assert alice.page.evaluate("window.stillTheSamePage")
    other.click("text=Show in searches")
    wait_for_rank(alice, "First")
    assert alice.page.locator("#golden .notice").count() == 0


def test_a_question_and_its_page_stay_text(visit):
    mallory = visit()
    mallory.register()
    mallory.drop(NOTES)
    mallory.wait_for_state("ready")
    pin_from_search(mallory, HOSTILE)

    mallory.go("/golden-questions")
    assert HOSTILE in mallory.page.text_content("#golden")
    assert asleep(mallory.page)
    mallory.page.click("#golden .title a")
    mallory.page.wait_for_selector("#expects-title")
    assert HOSTILE in mallory.page.text_content("h1")
    assert asleep(mallory.page)


def test_the_form_does_without_the_script(visit, tmp_path):
    alice = visit(java_script_enabled=False)
    file = tmp_path / NOTES[0]
    file.write_text(NOTES[1])
    alice.register()
    alice.page.set_input_files("#file", file)
    alice.page.click("button:has-text('Upload')")
    for _ in range(100):
        alice.go("/documents")
        if alice.page.locator(".row[data-status=ready]").count():
            break
        alice.page.wait_for_timeout(200)

    alice.go("/golden-questions")
    alice.page.click("summary:has-text('Pin a question')")
    alice.page.fill("#question", "Who sings at dawn?")
    alice.page.select_option("#document", label="walrus")
    alice.page.click("text=Pin it")
    assert "Who sings at dawn?" in alice.page.text_content("#golden")
    alice.page.click("#golden .title a")
    alice.page.fill("#question", "Who sings in the morning?")
    alice.page.click("text=Save")
    assert "Who sings in the morning?" in alice.page.text_content("h1")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_scrolls_sideways_and_everything_can_be_touched(visit, scheme, width):
    alice = visit(color_scheme=scheme)
    alice.page.set_viewport_size({"width": width, "height": 844})
    alice.register()
    alice.go("/golden-questions")
    assert alice.page.evaluate("document.documentElement.scrollWidth") <= width
    alice.go("/documents")
    alice.drop((f"{LONG}.md", f"# {LONG}\n\n{NOTES[1]}"))
    alice.wait_for_state("ready")
    pin_from_search(alice, f"who sings at dawn {LONG}")
    paths = [alice.page.url.removeprefix(alice.hub.url), "/golden-questions"]
    alice.go("/golden-questions")
    alice.page.wait_for_selector("#golden .rank")
    paths.append(alice.page.eval_on_selector("#golden .title a", "link => link.pathname"))

    for path in paths:
        alice.go(path)
        for summary in alice.page.locator("main summary").all():
            summary.click()
        assert alice.page.evaluate("document.documentElement.scrollWidth") <= width, path
        small = alice.page.evaluate(
            """[...document.querySelectorAll('button, .button, nav a, input:not([type=hidden]):not([type=checkbox]),'
                                             + 'label.check, select, summary')]
               .filter((part) => part.checkVisibility() && part.getBoundingClientRect().height < 44)
               .map((part) => part.outerHTML.slice(0, 80))"""
        )
        assert small == [], path
        nameless = alice.page.evaluate(
            """[...document.querySelectorAll('input:not([type=hidden]), select, button, a')]
               .filter((part) => !(part.labels?.length || part.textContent.trim() || part.ariaLabel))
               .map((part) => part.outerHTML.slice(0, 80))"""
        )
        assert nameless == [], path
