"""What `make search-trial` makes of an answer: each thing that must not be in one is seen."""

from copy import deepcopy

import pytest

from benchmarks.search_trial_acts import Known, Spot
from benchmarks.search_trial_asks import Target, missed, violations
from benchmarks.sheets import Asked, Mark, marks_in, name_of, sheet

MARK = Mark(1, 7, 0, 2)
COPPER = Asked(("copper",))
TEXT = f"## Part 0\n\n{MARK} copper harbour edit3."


@pytest.fixture
def known():
    """A document of two passages, as it is known before and after a search in which nothing happens."""
    contents = {1: {0: 1, 1: 1}, 2: {0: 2, 1: 1}}
    document = Known(id="d", creator=1, number=7, contents=contents, sent=list(contents.values()), answers=contents[2])
    document.spots[MARK] = Spot(edit=3)
    return document


def result(text=TEXT, document_id="d"):
    return {"chunk_id": "c", "document_id": document_id, "text": text, "score": 1.0, "scores": None}


def judged(known, *results, asked=COPPER, after=None, lexical=()):
    answer = {"results": list(results), "legs": {"lexical": list(lexical), "vector": []}}
    before = {known.id: known.as_it_is()}
    return list(violations(asked, answer, 1, before, {known.id: after or known.as_it_is()}))


def by_words(*document_ids):
    """An answer that has passages of these documents by their words."""
    return {"results": [], "legs": {"lexical": [{"document_id": one} for one in document_ids], "vector": []}}


def changed(known, **fields):
    """What is known of it once more has happened."""
    later = deepcopy(known)
    later.begin()
    for name, value in fields.items():
        setattr(later, name, value)
    later.end()
    return later


def test_an_answer_as_it_should_be_is_left_alone(known):
    other = Mark(1, 7, 1, 1)

    assert judged(known, result(), result(f"{other} copper")) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("copper", "is 0 passages"),
        (f"{TEXT} {Mark(1, 7, 1, 1)}", "is 2 passages"),
        (str(Mark(2, 7, 0, 2)), "another creator"),
        (str(Mark(1, 8, 0, 2)), "which is number 7"),
        (str(Mark(1, 7, 0, 1)), "a version of d that did not answer"),
        (f"{MARK} copper", "before edit 3"),
    ],
)
def test_a_passage_that_should_not_be_there_is_seen(known, text, says):
    assert any(says in what for what in judged(known, result(text)))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Asked(phrases=("harbour copper",)), '"harbour copper" is not in'),
        (Asked(("copper",), excluded=("harbour",)), "-harbour is in"),
        (Asked(("copper",), excluded=("copper harbour",)), "-copper harbour is in"),
        (Asked(("copper",), document="other"), "is not the one that was asked for"),
    ],
)
def test_what_a_question_rules_out_is_seen(known, asked, says):
    assert any(says in what for what in judged(known, result(), asked=asked))
    assert judged(known, result(), asked=Asked(phrases=("copper harbour",), excluded=("quarry",), document="d")) == []


def test_what_was_deleted_or_hidden_before_is_seen(known):
    known.spots[MARK].hidden = True
    assert judged(known, result()) == [f"{MARK} of document d was hidden before"]
    known.deleted = True

    assert "document d was deleted before" in judged(known, result())
    assert judged(known, lexical=[{"document_id": "d"}]) == ["a leg has document d, which was deleted before"]


def test_passages_of_two_versions_are_seen(known):
    before = result(str(Mark(1, 7, 0, 1)))
    later = changed(known)

    said = judged(known, result(), before, after=later)
    assert said == [f"a passage twice, or of two versions: {MARK}, {Mark(1, 7, 0, 1)}"]
    known.sent[1] = {0: 2, 1: 2}
    (said,) = judged(known, result(), result(str(Mark(1, 7, 1, 1))), after=changed(known))
    assert said.startswith("passages that no version of d has together")
    assert any(what.startswith("4 passages of one") for what in judged(known, *[result()] * 4))


def test_what_changes_during_the_search_may_be_found_or_not(known):
    later = changed(known, answers={0: 3, 1: 3})
    later.spots[MARK] = Spot(turn=2, hidden=True, edit=4)

    assert judged(known, result(), after=later) == []
    assert not missed(Target(known, MARK), by_words(), {"d": later})


def test_a_passage_that_nobody_touched_must_be_found(known):
    target = Target(known.as_it_is(), MARK)

    assert missed(target, by_words("other"), {"d": known})
    assert not missed(target, by_words("other", "d"), {"d": known})
    known.spots[MARK].begin()
    assert not missed(target, by_words(), {"d": known})


def test_a_sheet_is_the_same_each_time_and_names_each_passage():
    text = sheet(1, 7, {0: 2, 1: 1}).decode()

    assert text == sheet(1, 7, {0: 2, 1: 1}).decode()
    assert marks_in(text) == {MARK, Mark(1, 7, 1, 1)}
    assert name_of(1, 7) in text
    assert len({name_of(1, number)[:-2] for number in range(20_000)}) == 20_000


def test_a_question_is_written_as_people_write_it():
    asked = Asked(("old", "harbour"), ("copper candle",), ("ferry", "mountain glass"))

    assert asked.text == 'old harbour "copper candle" -ferry -"mountain glass"'
