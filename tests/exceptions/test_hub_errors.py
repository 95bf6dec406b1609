import pytest

from shared import exceptions
from shared.exceptions import HubError, NotAuthenticated, NotFound, RateLimited, ServiceUnavailable, errors


def every_error() -> list[type[HubError]]:
    found, waiting = [], [HubError]
    while waiting:
        found.append(waiting.pop())
        waiting += found[-1].__subclasses__()
    return found


class NoSuchShelf(NotFound):
    """No such shelf,
    nor has there been one."""

    code = "no_such_shelf"


class SilentShelf(NoSuchShelf):
    code = "silent_shelf"


def test_the_docstring_is_the_message_in_one_line():
    assert NoSuchShelf().detail == "No such shelf, nor has there been one."
    assert str(NoSuchShelf()) == NoSuchShelf().detail


def test_without_a_docstring_the_parents_counts():
    assert SilentShelf().detail == NoSuchShelf().detail


def test_a_detail_replaces_the_message():
    assert NoSuchShelf("Shelf 3 is gone.").detail == "Shelf 3 is gone."


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_says_something_and_has_a_status_and_a_code(error):
    raised = error()

    assert raised.detail.endswith((".", "!"))
    assert 400 <= raised.status < 600
    assert raised.code == raised.code.lower()
    assert raised.title


def test_every_error_of_the_tree_can_be_imported_from_the_package():
    public = {name for name in vars(errors) if name[0].isupper() and name not in {"ClassVar", "HTTPStatus"}}

    assert public <= set(exceptions.__all__)


def test_a_401_says_how_to_authenticate():
    assert NotAuthenticated().headers["WWW-Authenticate"] == "Bearer"
    assert NotAuthenticated(headers={"WWW-Authenticate": "Basic"}).headers["WWW-Authenticate"] == "Basic"


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (11.01, "12"), (60, "60"), (0, "1")])
def test_whoever_comes_back_after_retry_after_is_not_early(seconds, header):
    assert RateLimited(retry_after=seconds).headers["Retry-After"] == header


def test_an_unavailable_service_says_when_to_try_again():
    assert int(ServiceUnavailable().headers["Retry-After"]) >= 1
