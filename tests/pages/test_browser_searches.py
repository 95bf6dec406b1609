"""Results that are opened, and the page of what people searched for, in a real browser. Needs Chromium."""

import pytest

from tests.pages.test_browser import LONG, NOTES

# With the others: see `test_browser.py`.
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def search(visitor, question):
    visitor.go("/search")
    visitor.page.fill("#question", question)
    visitor.page.press("#question", "Enter")
    visitor.page.wait_for_selector("#results .hit, #results .nothing:has-text('Nothing found')")


@pytest.fixture
def alice(visit):
    """Alice, who has a document about a walrus."""
    one = visit()
    one.register()
    one.drop(NOTES)
    one.wait_for_state("ready")
    return one


def told_of_it(visitor):
    """Wait until the page has said what is opened. The answer comes to nobody: the page has been left by then."""
    return visitor.page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/click"))


def opened(visitor):
    visitor.page.wait_for_load_state("networkidle")
    visitor.go("/searches")
    return visitor.page.locator(".asked .opened").all_text_contents()


def test_opening_a_result_is_noted_and_the_link_leads_on(alice):
    search(alice, "the walrus")
    with told_of_it(alice):
        alice.page.click(".hit h2 a")
    alice.page.wait_for_url("**/documents/*")

    assert opened(alice) == ["Opened walrus"]


@pytest.mark.parametrize("how", ["middle", "keyboard"])
def test_opening_it_otherwise_is_noted_too(alice, how):
    search(alice, "the walrus")
    with told_of_it(alice):
        if how == "middle":
            alice.page.click(".hit h2 a", button="middle")
        else:
            alice.page.focus(".hit h2 a")
            alice.page.keyboard.press("Enter")

    assert opened(alice) == ["Opened walrus"]


def test_a_look_at_its_menu_opens_nothing(alice):
    search(alice, "the walrus")
    sent = []
    alice.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    alice.page.click(".hit h2 a", button="right")
    alice.page.click("h1")

    assert opened(alice) == []
    assert sent == []


def test_without_the_script_the_link_works_and_nothing_is_noted(visit, tmp_path):
    alice = visit(java_script_enabled=False)
    file = tmp_path / NOTES[0]
    file.write_text(NOTES[1])
    alice.register()
    alice.page.set_input_files("#file", file)
    alice.page.click("button:has-text('Upload')")
    while alice.page.locator(".row[data-status=ready]").count() == 0:
        alice.page.wait_for_timeout(300)
        alice.page.reload()
    search(alice, "the walrus")

    alice.page.click(".hit h2 a")

    alice.page.wait_for_url("**/documents/*")
    assert opened(alice) == []


def test_earlier_searches_are_added_below(alice):
    for number in range(32):
        alice.context.request.get(f"{alice.hub.url}/search?q=zeppelin+{number}")
    alice.go("/searches")
    alice.page.click("text=Show earlier searches")

    alice.page.wait_for_function("() => document.querySelectorAll('[aria-labelledby=lately] .asked').length === 32")
    assert alice.page.locator("text=Show earlier searches").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_in_both_widths_nothing_scrolls_sideways_and_everything_can_be_touched(visit, width, scheme):
    alice = visit(color_scheme=scheme)
    alice.page.set_viewport_size({"width": width, "height": 844})
    alice.register()

    for full in (False, True):
        if full:
            alice.go("/documents")
            alice.drop((f"{LONG}.md", NOTES[1]))
            alice.wait_for_state("ready")
            search(alice, "the walrus")
            with told_of_it(alice):
                alice.page.click(".hit h2 a")
            for question in (LONG * 2, "a zeppelin"):
                search(alice, question)
        alice.go("/searches")
        assert alice.page.locator("[aria-labelledby=lately] .asked").count() == (3 if full else 0)
        assert alice.page.locator("[aria-labelledby=in-vain] .asked").count() == (1 if full else 0)
        assert alice.page.evaluate("document.documentElement.scrollWidth") <= width
        small = alice.page.evaluate(
            """[...document.querySelectorAll('button, .button, nav a')]
               .filter((part) => part.checkVisibility() && part.getBoundingClientRect().height < 44)
               .map((part) => part.outerHTML.slice(0, 80))"""
        )
        assert small == []
        cut = alice.page.evaluate(
            """[...document.querySelectorAll('nav a')].filter((part) => part.scrollWidth > part.clientWidth)
               .map((part) => part.textContent.trim())"""
        )
        assert cut == []


def test_while_one_types_words_of_the_passages_are_offered(alice):
    alice.go("/search")

    alice.page.type("#question", "where does the wal", delay=20)
    alice.page.wait_for_selector("#suggestions option", state="attached")

    assert alice.page.eval_on_selector_all("#suggestions option", "all => all.map(one => one.value)") == [
        "where does the walrus"
    ]
    assert alice.page.url.endswith("/search")


def test_a_misspelt_question_is_answered_and_says_as_what(alice):
    search(alice, "wlarus")

    assert "Showing what walrus finds" in alice.page.inner_text("#results")
