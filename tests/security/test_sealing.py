import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from shared.security.sealing import SealBroken, open_sealed, seal

ANSWER = b'{"access_token": "..."}'


@given(data=st.binary(max_size=200), secret=st.binary(max_size=50))
def test_what_was_sealed_opens_with_the_same_secret(data, secret):
    assert open_sealed(seal(data, secret), secret) == data


def test_another_secret_does_not_open_it():
    with pytest.raises(SealBroken):
        open_sealed(seal(ANSWER, b"alice"), b"mallory")


def test_another_secret_key_does_not_open_it_unless_it_is_the_one_before():
    sealed = seal(ANSWER, b"alice")

    with override_settings(SECRET_KEY="another" * 10), pytest.raises(SealBroken):
        open_sealed(sealed, b"alice")

    from django.conf import settings

    with override_settings(SECRET_KEY="another" * 10, SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert open_sealed(sealed, b"alice") == ANSWER


def test_no_byte_can_be_changed():
    sealed = seal(ANSWER, b"alice")

    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(SealBroken):
            open_sealed(changed, b"alice")


@pytest.mark.parametrize("length", [0, 1, 12, 13, 20])
def test_something_cut_off_does_not_open(length):
    with pytest.raises(SealBroken):
        open_sealed(seal(ANSWER, b"alice")[:length], b"alice")


def test_the_same_answer_never_looks_the_same():
    assert seal(ANSWER, b"alice") != seal(ANSWER, b"alice")
    assert b"access_token" not in seal(ANSWER, b"alice")
