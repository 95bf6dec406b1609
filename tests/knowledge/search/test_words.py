"""What may be typed: half-typed and misspelt words, phrases, words that must not be there."""

import pytest

from apps.knowledge.models import Word
from shared.tenancy.scope import creator_scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def library(alice, ready):
    """Documents by name."""
    texts = {
        "money": b"Refunds are paid within thirty days of the cancellation.",
        "zeppelins": b"A zeppelin is a rigid airship.",
        "gas": b"Zeppelins were filled with hydrogen, and airships with helium.",
        "cats": b"Cats sleep on sofas. Good morning, cat.",
        "dogs": b"A good dog sleeps in the morning.",
    }
    return {name: str(ready(alice, text, f"{name}.txt").id) for name, text in texts.items()}


@pytest.fixture
def found(ask, alice, library):
    """The names of what is found, best first."""
    names = {document: name for name, document in library.items()}

    def call(q, **query):
        return [names[hit["document_id"]] for hit in ask(alice, q, **query)["results"]]

    return call


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("refnuds", "refunds"),  # two letters swapped
        ("refnds", "refunds"),  # one missing
        ("reffunds", "refunds"),  # one too many
        ("refunda", "refunds"),  # another one
        ("tefunds", "refunds"),  # another first one
        ("erfunds", "refunds"),  # the first two swapped
        ("efunds", "refunds"),  # the first missing
        ("arefunds", "refunds"),  # one before the first
        ("cancelatoin", "cancellation"),  # two mistakes in a long word
        ("REFNUDS", "refunds"),
        ("refnuds?", "refunds?"),
    ],
)
def test_a_misspelt_word_finds(ask, alice, library, typed, meant):
    answer = ask(alice, typed)

    assert answer["corrected"] == meant
    assert answer["query"] == typed
    assert answer["results"][0]["document_id"] == library["money"]
    assert ask(alice, f"when are {typed} paid")["corrected"] == f"when are {meant} paid"


@pytest.mark.parametrize("typed", ["zep", "zepp", "zeppel", "Zeppeli"])
def test_a_half_typed_word_finds_all_that_it_may_become(found, typed):
    assert set(found(typed)) == {"zeppelins", "gas"}


def test_a_half_typed_word_is_said_to_be_the_most_frequent_of_them(ask, alice, library, ready):
    ready(alice, b"Zeppelins again.")

    assert ask(alice, "zepp")["corrected"] == "zeppelin"


@pytest.mark.parametrize("typed", ["ze", "qqqqqq", "refnudsxx", "r3fnuds", "xat", "12345", "…"])
def test_what_is_too_short_or_too_far_from_every_word_is_no_other(ask, words_alone, alice, library, typed):
    assert ask(alice, typed)["corrected"] is None
    assert words_alone(alice, typed) == {}


def test_words_that_are_there_are_left_alone(ask, alice, library, ready):
    ready(alice, b"The cast of a play.")

    assert ask(alice, "cats")["corrected"] is None
    assert ask(alice, "cast")["corrected"] is None


def test_a_word_of_english_that_is_only_missing_is_no_mistake(ask, words_alone, alice, ready):
    ready(alice, b"Book the next date before the call ends.")

    assert ask(alice, "how late")["corrected"] is None
    assert words_alone(alice, "late") == {}
    assert ask(alice, "how datte")["corrected"] == "how date"
    # Half-typed it may be, whether it is a word or not.
    ready(alice, b"A portrait of the captain.")
    assert ask(alice, "port")["corrected"] == "portrait"


def test_the_nearest_word_that_more_passages_have_is_taken(ask, alice, ready):
    ready(alice, b"We hurt.", "one.txt")
    for number in range(3):
        ready(alice, f"The hunt number {number}.".encode(), f"{number}.txt")

    assert ask(alice, "huxt")["corrected"] == "hunt"


def test_a_word_of_passages_that_are_gone_is_no_correction(client, ask, alice, library):
    assert ask(alice, "zepelin")["corrected"] == "zeppelin"
    for name in ("zeppelins", "gas"):
        client.delete(f"/api/v1/documents/{library[name]}", headers=alice.headers)

    with creator_scope(alice.creator.id):
        assert Word.objects.filter(text="zeppelin").exists()  # swept in the night
    assert ask(alice, "zepelin")["corrected"] is None
    assert ask(alice, "zepp")["results"] == []


def test_nobody_is_corrected_to_another_creators_words(ask, words_alone, mallory, ready, library):
    ready(mallory, b"Something else.")

    for typed in ("zepelin", "zepp", "refnuds"):
        assert ask(mallory, typed)["corrected"] is None
        assert words_alone(mallory, typed) == {}


# ---- Phrases, and words that must not be there


def test_a_phrase_stands_as_it_is_written(found):
    assert set(found("good morning")) == {"cats", "dogs"}
    assert found('"good morning"') == ["cats"]
    assert found('"morning good"') == []
    assert found('"good morning" sofas') == ["cats"]


def test_a_word_in_quotes_must_be_there_and_is_not_corrected(found, ask, alice):
    assert found('sleep "sofas"') == ["cats"]
    assert ask(alice, '"refnuds"')["corrected"] is None
    assert found('"refnuds"') == []
    assert found('"zepp"') == []


def test_a_phrase_is_found_in_the_forms_of_its_words(found):
    assert found('"cat sleeping"') == ["cats"]


def test_a_phrase_without_any_word_asks_for_nothing(found):
    assert set(found('"of the" zeppelin')) >= {"zeppelins", "gas"}


def test_a_phrase_is_found_behind_a_thousand_passages_that_only_have_its_words(ask, alice, ready):
    many = "\n\n".join(f"# Part {number}\n\nMorning good {number} morning good." for number in range(1100))
    ready(alice, many.encode(), "many.md")
    last = ready(alice, b"In a long text that says little else of it we say good morning to each other.", "last.txt")

    hits = ask(alice, '"good morning"')["results"]

    assert [hit["document_id"] for hit in hits] == [str(last.id)]


def test_a_word_after_a_minus_is_in_no_result(found):
    assert set(found("sleep")) == {"cats", "dogs"}
    assert found("sleep -sofas") == ["dogs"]
    assert found("sleep -sofas -dog") == []
    assert found("sleeping -sofa") == ["dogs"]


def test_a_phrase_after_a_minus_is_in_no_result(found):
    assert found('sleep -"good morning"') == ["dogs"]
    assert set(found('sleep -"morning good"')) == {"cats", "dogs"}


def test_what_is_excluded_is_not_found_by_its_meaning_either(ask, alice, library):
    texts = [hit["text"] for hit in ask(alice, "zeppelin rigid airship -hydrogen")["results"]]

    assert texts
    assert not any("hydrogen" in text for text in texts)


# ---- Suggestions


def suggestions(client, person, q):
    response = client.get("/api/v1/search/suggest", {"q": q}, headers=person.headers)
    assert response.status_code == 200, response.content
    return response.json()["suggestions"]


def test_the_last_word_is_completed_the_most_frequent_first(client, alice, library, ready):
    ready(alice, b"Many zeppelins.")

    assert suggestions(client, alice, "zep") == ["zeppelin", "zeppelins"]
    assert suggestions(client, alice, "what is a Zep") == ["what is a zeppelin", "what is a zeppelins"]
    assert suggestions(client, alice, "zeppelins") == ["zeppelins"]


@pytest.mark.parametrize("q", ["z", "qqq", "123", "%", "_ep"])
def test_nothing_is_suggested_for_what_is_no_beginning_of_a_word(client, alice, library, q):
    assert suggestions(client, alice, q) == []


def test_words_of_deleted_and_hidden_passages_and_of_others_are_not_suggested(client, alice, mallory, library, ready):
    assert suggestions(client, alice, "rig") == ["rigid"]
    client.delete(f"/api/v1/documents/{library['zeppelins']}", headers=alice.headers)
    gas = client.get(f"/api/v1/documents/{library['gas']}/passages", headers=alice.headers).json()["items"][0]
    assert suggestions(client, alice, "rig") == []
    assert suggestions(client, alice, "hydro") == ["hydrogen"]
    path = f"/api/v1/documents/{library['gas']}/passages/{gas['id']}"
    client.patch(path, {"hidden": True}, headers=alice.headers, content_type="application/json")

    assert suggestions(client, alice, "hydro") == suggestions(client, alice, "zepp") == []
    assert suggestions(client, mallory, "ref") == []


def test_at_most_ten_are_suggested(client, alice, ready):
    ready(alice, " ".join(f"star{letter}" for letter in "abcdefghijklm").encode())

    assert len(suggestions(client, alice, "star")) == 10


@pytest.mark.parametrize("query", [{}, {"q": ""}, {"q": "  "}, {"q": "a\x00"}, {"q": "x" * 501}])
def test_a_beginning_that_makes_no_sense_is_refused(client, alice, query):
    assert client.get("/api/v1/search/suggest", query, headers=alice.headers).status_code == 422
