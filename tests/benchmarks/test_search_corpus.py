import numpy as np
import pytest

from benchmarks.search_corpus import Corpus, make_language, moved, spread

LANGUAGE = make_language(3000)


@pytest.fixture
def corpus():
    return Corpus(LANGUAGE, topics=20, seed=1)


def test_a_language_is_the_same_each_time_and_has_no_word_twice():
    assert make_language(3000) == LANGUAGE
    assert len(set(LANGUAGE)) == 3000
    assert all(word.isascii() and word.isalpha() and word.islower() for word in LANGUAGE)


def test_passages_have_about_as_many_different_words_as_real_ones():
    corpus = Corpus(make_language(20_000), topics=50, seed=1)
    written = [corpus.write(20) for _ in range(20)]
    counts = [len({*one.title.lower().split(), *text.split()}) for one in written for text in one.texts]

    assert 60 < np.mean(counts) < 72


def test_frequent_words_are_in_many_passages_and_most_words_in_few(corpus):
    texts = [set(text.split()) for _ in range(20) for text in corpus.write(20).texts]
    shares = sorted((sum(word in text for text in texts) / len(texts) for word in LANGUAGE), reverse=True)

    assert 0.15 < shares[0] < 0.5
    assert shares[len(shares) // 2] < 0.02


def test_vectors_are_of_length_1_and_lie_around_topics(corpus):
    one, other = corpus.write(50).vectors, corpus.write(50).vectors

    assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
    assert np.mean(one @ one.T) > np.mean(one @ other.T) + 0.1


def test_a_question_is_about_what_somebody_wrote(corpus):
    vectors = np.concatenate([corpus.write(10).vectors for _ in range(200)])
    asked = [corpus.ask() for _ in range(50)]

    assert all(3 <= len(one.text.split()) <= 6 for one in asked)
    assert np.mean([np.max(vectors @ one.vector) for one in asked]) > 0.25


def test_nearer_is_nearer():
    chance = np.random.default_rng(1)
    vectors = spread(chance, 100)
    near, far = (np.sum(vectors * moved(chance, vectors, away), axis=1) for away in (0.1, 1.0))

    assert near.min() > 0.98
    assert 0.6 < far.mean() < 0.8
