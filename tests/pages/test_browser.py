"""The pages in a real browser: files dropped, progress seen, nothing hostile awake. Needs Chromium."""

import re

import pytest

from tests.pages.browser import MOST_BYTES, PASSWORD

# One worker takes them all: a hub is slow to start, and its visitors leave rows that others would count.
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SOCKET = re.compile(r"/ws\?after=\d+$")
NOTES = ("walrus.md", "# Songs\n\nThe walrus sings at dawn, and the whole harbour wakes up.\n")
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 3

# Each would set `window.awake` if any page took it for more than text.
NAMES = [
    "<img src=x onerror=window.awake=1>.md",
    "'-(window.awake=1)-'.md",
    '"};window.awake=1;({"a":"b.md',
    "{{constructor.constructor('window.awake=1')()}}.md",
    "${window.awake=1}`.md",
    "invoice\u202efdp.md",
]
HOSTILE_NAME = "<svg onload=window.awake=1>'-(window.awake=1)-'"
HOSTILE_TEXT = (
    "# <img src=x onerror=window.awake=1>\n\n"
    "The ostrich <script>window.awake=1</script> hides. \u202eesrever\n\n[click](javascript:window.awake=1)\n"
)
HOSTILE_PAGE = "<!doctype html><html><body><script>window.awake=1</script><p>The emu runs.</p></body></html>"


def asleep(page):
    """Whether nothing hostile has run in the page."""
    planted = page.locator("main img[src='x'], main svg[onload], main a[href^='javascript']").count()
    return page.evaluate("window.awake === undefined") and planted == 0


def test_a_dropped_file_becomes_ready_without_a_reload_and_is_found(visit):
    alice = visit()
    alice.register()
    alice.page.evaluate("window.stillTheSamePage = true")

    alice.drop(NOTES)
    alice.wait_for_state("ready")

    assert alice.page.evaluate("window.stillTheSamePage")
    assert alice.page.locator("#sending li").count() == 0
    assert "walrus: Ready" in alice.page.text_content("#announcer")
    alice.page.click("nav >> text=Search")
    alice.page.fill("#question", "who sings in the morning?")
    alice.page.press("#question", "Enter")
    alice.page.wait_for_selector(".hit mark")
    assert "The walrus sings at dawn" in alice.page.text_content(".hit")
    assert "q=who" in alice.page.url


def test_many_files_at_once_stand_newest_first(visit):
    alice = visit()
    alice.register()

    alice.drop(*((f"note-{number}.txt", f"Note number {number} is about the walrus.") for number in range(6)))
    alice.wait_for_state("ready", 6)

    ids = alice.page.eval_on_selector_all(".row", "rows => rows.map((row) => row.dataset.document)")
    assert ids == sorted(ids, reverse=True)


def test_without_the_script_the_form_does(visit, tmp_path):
    alice = visit(java_script_enabled=False)
    file = tmp_path / NOTES[0]
    file.write_text(NOTES[1])
    alice.register()

    alice.page.set_input_files("#file", file)
    alice.page.click("button:has-text('Upload')")
    alice.page.wait_for_selector(".row")

    assert "walrus" in alice.page.text_content(".row")


def test_without_the_socket_the_page_asks_by_itself(visit):
    alice = visit()
    alice.context.route_web_socket(SOCKET, lambda socket: socket.close())
    alice.register()
    alice.page.wait_for_selector("#live[data-live=polling]")

    alice.drop(NOTES)

    alice.wait_for_state("ready")


def test_what_was_missed_is_there_when_the_socket_is_back(visit):
    alice = visit()
    sockets, away = [], []

    def route(socket):
        if away:
            socket.close()
            return
        socket.connect_to_server()
        sockets.append(socket)

    alice.page.route_web_socket(SOCKET, route)
    alice.register()
    alice.page.wait_for_selector("#live[data-live=open]")
    away.append(True)
    sockets[-1].close()
    alice.page.wait_for_selector("#live[data-live=polling]")
    other_tab = alice.context.new_page()
    other_tab.goto(f"{alice.hub.url}/documents")
    other_tab.set_input_files("#file", {"name": NOTES[0], "mimeType": "text/markdown", "buffer": NOTES[1].encode()})
    other_tab.wait_for_selector(".row[data-status=ready]")
    away.clear()

    alice.page.wait_for_selector("#live[data-live=open]")
    alice.wait_for_state("ready")


def test_deleting_asks_first_and_vanishes_from_the_other_tab(visit):
    alice = visit()
    alice.register()
    alice.drop(NOTES)
    alice.wait_for_state("ready")
    list_tab = alice.context.new_page()
    list_tab.goto(f"{alice.hub.url}/documents")
    list_tab.wait_for_selector("#live[data-live=open]")

    alice.page.click(".row .title a")
    alice.page.click("button:has-text('Delete…')")
    alice.page.click("button:has-text('Keep it')")
    alice.page.wait_for_selector("#confirm-delete", state="hidden")
    alice.page.click("button:has-text('Delete…')")
    alice.page.click("#confirm-delete button[type=submit]")
    alice.page.wait_for_url("**/documents")

    alice.page.wait_for_selector(".nothing.first-time")
    list_tab.wait_for_selector(".row", state="detached")
    list_tab.wait_for_selector(".nothing.first-time")


def test_the_document_page_follows_the_work(visit):
    alice = visit()
    alice.register()
    alice.drop(NOTES)
    alice.page.wait_for_selector(".row")

    alice.page.click(".row .title a")

    alice.page.wait_for_selector("#progress[data-status=ready]")
    assert alice.page.locator(".timeline li[data-state=done]").count() == 7
    alice.page.wait_for_selector("text=Search in it")


def test_a_file_that_is_too_large_never_leaves(visit):
    alice = visit()
    alice.register()
    sent = []
    alice.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)

    alice.drop(("big.txt", "x" * (MOST_BYTES + 1)))

    alice.page.wait_for_selector("#sending li.refused")
    assert "the limit is 1 MB" in alice.page.text_content("#sending")
    assert sent == []


def test_a_session_that_has_ended_leads_to_signing_in(visit):
    alice = visit()
    alice.register()
    alice.page.wait_for_selector("#live[data-live=open]")
    alice.context.clear_cookies(name="sessionid")

    alice.drop(NOTES)

    alice.page.wait_for_url("**/sign-in*")


def test_signing_out_and_in_again(visit):
    alice = visit()
    alice.register(email="again@acme.example.com")

    alice.page.click(".who")
    alice.page.click("text=Sign out")
    alice.page.wait_for_url("**/sign-in")
    alice.page.fill("[name=email]", "again@acme.example.com")
    alice.page.fill("[name=password]", PASSWORD)
    alice.page.click("button[type=submit]")

    alice.page.wait_for_url("**/documents")


def test_hostile_names_and_texts_stay_text_on_every_page(visit):
    mallory = visit()
    mallory.register(name=HOSTILE_NAME)
    mallory.drop(*((name, f"{HOSTILE_TEXT}{number}") for number, name in enumerate(NAMES)), ("emu.html", HOSTILE_PAGE))
    mallory.wait_for_state("ready", len(NAMES) + 1)
    titles = mallory.page.locator(".row .title").all_text_contents()
    links = mallory.page.eval_on_selector_all(".row .title a", "links => links.map((link) => link.pathname)")

    assert asleep(mallory.page)
    assert "<img src=x onerror=window.awake=1>" in titles
    assert not any("\u202e" in title for title in titles)
    for path in (*links, "/search?q=ostrich+script", "/search?q=<script>window.awake=1</script>"):
        mallory.go(path)
        mallory.page.wait_for_load_state("networkidle")
        assert asleep(mallory.page), path
    assert "<script>window.awake=1</script>" in mallory.page.text_content("main")


def test_an_uploaded_page_is_saved_and_never_opened(visit):
    mallory = visit()
    mallory.register()
    mallory.drop(("emu.html", HOSTILE_PAGE))
    mallory.wait_for_state("ready")
    mallory.page.click(".row .title a")

    with mallory.page.expect_download() as download:
        mallory.page.click("text=Download")

    assert download.value.suggested_filename == "emu.html"
    assert download.value.path().read_text() == HOSTILE_PAGE


@pytest.fixture
def staff(hub):
    hub.make_staff("staff@hub.example.com")
    return "staff@hub.example.com"


def test_hostile_names_stay_text_in_the_admin(visit, staff):
    mallory = visit()
    mallory.register(name=HOSTILE_NAME)
    mallory.drop(*((name, f"{HOSTILE_TEXT}{number}") for number, name in enumerate(NAMES)))
    mallory.wait_for_state("ready", len(NAMES))
    sam = visit()
    page = sam.page
    sam.go("/admin/")
    page.fill("[name=username]", staff)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_load_state("networkidle")

    sam.go("/admin/accounts/creator/")
    assert HOSTILE_NAME in page.text_content("#result_list")
    creators = page.eval_on_selector_all(
        "#result_list th a", "links => links.map((link) => [link.text, link.pathname])"
    )
    creator = next(path for text, path in creators if text.strip() == HOSTILE_NAME).split("/")[-3]
    sam.go(f"/admin/act-as/{creator}/")
    page.fill("[name=reason]", "Ticket 4711, <img src=x onerror=window.awake=1>")
    page.press("[name=reason]", "Enter")
    page.wait_for_load_state("networkidle")
    assert asleep(page)

    sam.go("/admin/knowledge/document/")
    assert "<img src=x onerror=window.awake=1>" in page.text_content("#result_list")
    links = page.eval_on_selector_all("#result_list th a", "links => links.map((link) => link.pathname)")
    others = [f"/admin/{path}/" for path in ("", "knowledge/chunk", "accounts/auditentry", "accounts/user")]
    for path in (*links, *others, "/admin/knowledge/document/?q='-(window.awake=1)-'"):
        assert sam.go(path.replace("//", "/")).ok, path
        page.wait_for_load_state("networkidle")
        assert asleep(page), path


PAGES = ["/documents", "/search", "/search?q=walrus", "/nowhere", "DOCUMENT"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_at_390_pixels_nothing_scrolls_sideways_and_everything_can_be_touched(visit, scheme):
    alice = visit(color_scheme=scheme)
    alice.page.set_viewport_size({"width": 390, "height": 844})
    alice.register(name=f"{LONG[:60]} Coaching")
    alice.drop((f"{LONG}.md", NOTES[1]), ("empty.txt", ""))
    alice.wait_for_state("ready")
    alice.wait_for_state("failed")
    paths = [alice.page.eval_on_selector(".row[data-status=ready] a", "link => link.pathname"), *PAGES[:-1]]

    for path in [*paths, "/sign-out"]:
        if path == "/sign-out":
            alice.context.clear_cookies()
            alice.go("/sign-in")
        else:
            alice.go(path)
        assert alice.page.evaluate("document.documentElement.scrollWidth") <= 390, path
        small = alice.page.evaluate(
            """[...document.querySelectorAll('button, .button, nav a, input:not([type=hidden]), select, summary')]
               .filter((part) => part.checkVisibility() && part.getBoundingClientRect().height < 44)
               .map((part) => part.outerHTML.slice(0, 80))"""
        )
        assert small == [], path
    alice.complaints[:] = [said for said in alice.complaints if "404" not in said]  # /nowhere, on purpose


def test_every_field_has_a_name_for_those_who_cannot_see_it(visit):
    alice = visit()
    alice.register()

    for path in ("/documents", "/search"):
        alice.go(path)
        nameless = alice.page.evaluate(
            """[...document.querySelectorAll('input:not([type=hidden]), select, button, a')]
               .filter((part) => !(part.labels?.length || part.textContent.trim() || part.ariaLabel))
               .map((part) => part.outerHTML.slice(0, 80))"""
        )
        assert nameless == [], path


def test_the_keyboard_alone_opens_a_document(visit):
    alice = visit()
    alice.register()
    alice.drop(NOTES)
    alice.wait_for_state("ready")

    for _ in range(30):
        alice.page.keyboard.press("Tab")
        if alice.page.evaluate("document.activeElement.closest('.row') !== null"):
            break
    alice.page.keyboard.press("Enter")

    alice.page.wait_for_selector("#progress")
