import zipfile

import httpx
import numpy as np
import orjson
import pytest

from apps.knowledge import embedding
from apps.knowledge.embedding import DIMENSIONS, files, passage_text, vector_text
from apps.knowledge.embedding.endpoint import EmbeddingUnavailable, EndpointEmbedder
from apps.knowledge.embedding.files import ModelFileWrong, new_tokenizer, read_model
from apps.knowledge.embedding.local import LocalEmbedder, _batches


async def test_texts_of_one_meaning_are_nearer_than_others(real_embedder):
    vectors = await real_embedder.embed(
        ["How do I get my money back?", "Refunds are paid within thirty days.", "The cat sleeps on the sofa."]
    )

    assert vectors.shape == (3, DIMENSIONS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


async def test_a_batch_gives_what_each_text_gives_alone(real_embedder):
    texts = ["short", "a much longer text about refunds " * 60, "", "medium sized text about cats"]

    together = await real_embedder.embed(texts)
    alone = np.concatenate([await real_embedder.embed([text]) for text in texts])

    assert np.allclose(together, alone, atol=0.05)


async def test_nothing_to_embed_needs_no_model_run():
    assert (await LocalEmbedder().embed([])).shape == (0, DIMENSIONS)


def test_batches_hold_every_place_once_and_little_padding():
    lengths = [5, 250, 7, 249, 6, 251, 8]

    batches = list(_batches(lengths))

    assert sorted(place for batch in batches for place in batch) == list(range(7))
    assert batches[0] == [0, 4, 2, 6]
    assert list(_batches([])) == []


def test_a_changed_model_file_is_refused(monkeypatch):
    monkeypatch.setattr(files, "MODEL_SHA256", "0" * 64)

    with pytest.raises(ModelFileWrong, match="not the file"):
        read_model()


def test_a_changed_tokenizer_is_refused(monkeypatch):
    files._tokenizer_json.cache_clear()
    monkeypatch.setattr(files, "TOKENIZER_SHA256", "0" * 64)

    with pytest.raises(ModelFileWrong):
        new_tokenizer()


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(ModelFileWrong, match=r"no_such_package/model\.onnx is missing"):
        files._package_file("no_such_package", "model.onnx")


def test_only_the_tokenizer_is_read_from_its_package():
    with zipfile.ZipFile(files._package_file("all_minilm_l6_v2", "model.zip")) as archive:
        assert files._tokenizer_json() == archive.read("tokenizer.json")
    assert len(new_tokenizer().encode("word " * 1000).ids) > 900  # it does not cut off by itself


@pytest.mark.parametrize(
    ("heading", "text", "expected"),
    [
        ("", "text", "Title\ntext"),
        ("How", "text", "Title\nHow\ntext"),
        ("Title", "text", "Title\ntext"),
        ("How", "How\n\ntext", "Title\nHow\n\ntext"),
    ],
)
def test_the_title_stands_in_front_of_a_passage(heading, text, expected):
    assert passage_text("Title", heading, text) == expected


def endpoint(answer, *, key="secret", **wanted):
    asked = []

    def respond(request):
        asked.append(request)
        body = orjson.loads(request.content)
        return answer(body) if callable(answer) else answer

    embedder = EndpointEmbedder(
        "https://ai.example.com/v1/", model="small", key=key, transport=httpx.MockTransport(respond), **wanted
    )
    return embedder, asked


def vectors_for(body, size=DIMENSIONS):
    rows = [{"index": place, "embedding": [float(place + 1)] * size} for place in range(len(body["input"]))]
    return httpx.Response(200, json={"data": rows[::-1]})


async def test_an_endpoint_embeds_in_batches_and_in_order():
    embedder, asked = endpoint(vectors_for)

    vectors = await embedder.embed([f"text {number}" for number in range(70)])

    assert vectors.shape == (70, DIMENSIONS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert [len(orjson.loads(request.content)["input"]) for request in asked] == [64, 6]
    assert str(asked[0].url) == "https://ai.example.com/v1/embeddings"
    assert asked[0].headers["Authorization"] == "Bearer secret"
    assert orjson.loads(asked[0].content)["dimensions"] == DIMENSIONS


async def test_an_endpoint_is_asked_for_as_many_dimensions_as_are_configured():
    embedder, asked = endpoint(lambda body: vectors_for(body, size=body["dimensions"]), dimensions=1024)

    assert (await embedder.embed(["text"])).shape == (1, 1024)
    assert (await embedder.embed([])).shape == (0, 1024)
    assert len(asked) == 1


@pytest.mark.parametrize("refusal", [400, 422])
async def test_a_model_that_cannot_be_shortened_is_asked_as_it_is(refusal):
    embedder, asked = endpoint(
        lambda body: httpx.Response(refusal) if "dimensions" in body else vectors_for(body, size=1024), dimensions=1024
    )

    assert (await embedder.embed(["text"])).shape == (1, 1024)
    assert (await embedder.embed(["another"])).shape == (1, 1024)
    # The second time it is known.
    assert ["dimensions" in orjson.loads(request.content) for request in asked] == [True, False, False]


def test_the_tokenizer_knows_words_of_english_and_none_that_is_misspelt():
    words = files.known_words()

    assert {"late", "date", "client", "cancel", "coaching", "morning"} <= words
    assert not {"wlarus", "recieve", "beleive", "confidentialty", "##ing", "[cls]", "the"} & words
    assert 20_000 < len(words) < 21_000


async def test_a_refusal_by_mistake_is_forgotten():
    """Once busy, say, the endpoint answers 400; without being asked for a number it gives another one."""
    answers = iter([httpx.Response(400)])
    embedder, _ = endpoint(lambda body: next(answers, None) or vectors_for(body, size=body.get("dimensions", 1536)))

    with pytest.raises(EmbeddingUnavailable):
        await embedder.embed(["text"])
    assert (await embedder.embed(["text"])).shape == (1, DIMENSIONS)


async def test_an_endpoint_that_refuses_everything_is_asked_in_full_again():
    embedder, asked = endpoint(httpx.Response(400))

    for _ in range(2):
        with pytest.raises(EmbeddingUnavailable):
            await embedder.embed(["text"])
    assert ["dimensions" in orjson.loads(request.content) for request in asked] == [True, False] * 2


async def test_another_number_of_dimensions_is_another_model():
    names = {endpoint(vectors_for, dimensions=one)[0].name for one in (DIMENSIONS, 512, 1024)}

    assert len(names) == 3
    assert f"https://ai.example.com/v1/embeddings small ({DIMENSIONS})" not in names


async def test_an_endpoint_without_a_key_sends_none():
    embedder, asked = endpoint(vectors_for, key=None)
    await embedder.embed(["text"])

    assert "Authorization" not in asked[0].headers


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(200, text="not json"),
        httpx.Response(200, json={"error": "no"}),
        httpx.Response(200, json={"data": [{"index": 0, "embedding": ["x"] * DIMENSIONS}]}),
        lambda body: vectors_for(body, size=3),
        lambda body: httpx.Response(200, text='{"data": [{"index": 0, "embedding": [' + "1e999," * 383 + "1]}]}"),
    ],
)
async def test_an_endpoint_that_fails_is_unavailable(answer):
    embedder, _ = endpoint(answer)

    with pytest.raises(EmbeddingUnavailable) as caught:
        await embedder.embed(["text"])
    assert caught.value.status == 503


def test_a_vector_is_written_down_without_losing_anything():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]

    written = vector_text(finite)

    assert np.array_equal(np.array(orjson.loads(written), dtype=np.float32).astype(np.float16), finite)


def test_the_configuration_chooses_the_embedder(monkeypatch):
    assert embedding._configured("") is None
    assert isinstance(embedding._built_in(), LocalEmbedder)

    monkeypatch.setenv("EMBEDDING_URL", "https://ai.example.com/v1")
    monkeypatch.setenv("EMBEDDING_MODEL", "small")
    monkeypatch.setenv("EMBEDDING_API_KEY", "secret")
    assert embedding._configured("").dimensions == DIMENSIONS
    monkeypatch.setenv("EMBEDDING_DIMENSIONS", "1024")
    chosen = embedding._configured("")

    assert isinstance(chosen, EndpointEmbedder)
    assert (chosen.url, chosen.model, chosen.dimensions) == ("https://ai.example.com/v1/embeddings", "small", 1024)
