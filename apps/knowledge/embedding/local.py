"""all-MiniLM-L6-v2 on onnxruntime. Trained on English; other languages match by their words more than by meaning."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from apps.knowledge.embedding import Vectors
from apps.knowledge.embedding.dimensions import DIMENSIONS
from apps.knowledge.embedding.files import MODEL_SHA256, new_tokenizer, read_model

# What the model was trained to read; later tokens of a longer text are not seen.
MAX_TOKENS = 256
# Tokens in one call, padding included. Larger calls take more memory (650 MB at 4096, 350 MB here) and no less time.
_BATCH_TOKENS = 1024


class LocalEmbedder:
    """The model that comes along. Loaded at first use, run on a thread of its own, one call at a time."""

    name = f"all-MiniLM-L6-v2 {MODEL_SHA256}"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        # One thread: the runtime spreads one call over the cores, and two models would only be in each other's way.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")
        self._loaded: tuple[onnxruntime.InferenceSession, Tokenizer] | None = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`. 23 to 28 passages of 256 tokens a second on two cores; a query takes 7 to 10 ms."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._embed, list(texts))

    def _load(self) -> tuple[onnxruntime.InferenceSession, Tokenizer]:
        if self._loaded is None:
            tokenizer = new_tokenizer()
            tokenizer.enable_truncation(MAX_TOKENS)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = min(4, os.cpu_count() or 1)
            # Spinning threads would take the cores from the web server between two calls.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            session = onnxruntime.InferenceSession(read_model(), options, providers=["CPUExecutionProvider"])
            self._loaded = session, tokenizer
        return self._loaded

    def _embed(self, texts: list[str]) -> Vectors:
        session, tokenizer = self._load()
        encodings = tokenizer.encode_batch(texts) if texts else []
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for places in _batches([len(encoding.ids) for encoding in encodings]):
            vectors[places] = _run(session, [encodings[place] for place in places])
        return vectors


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts of similar length together, so that little of a batch is padding."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if batch and (len(batch) + 1) * lengths[place] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _run(session: onnxruntime.InferenceSession, encodings: list[Encoding]) -> Vectors:
    """Mean of the token vectors, at length 1: how the model's authors say sentences are made."""
    longest = max(len(encoding.ids) for encoding in encodings)
    ids = np.zeros((len(encodings), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding.ids)] = encoding.ids
        mask[row, : len(encoding.ids)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    (states,) = session.run(None, inputs)
    weights = mask[:, :, None].astype(np.float32)
    means = (states * weights).sum(axis=1) / weights.sum(axis=1)
    lengths = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    return np.asarray(means / lengths, dtype=np.float32)
