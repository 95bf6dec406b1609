"""Why a URL was not fetched: one class for each reason, with what the creator can do about it."""

from typing import ClassVar

from shared.exceptions import HubError


class FetchFailed(HubError):
    """This address could not be fetched."""

    status = 422
    code = "url_not_fetched"
    action: ClassVar[str] = "Check the address, or download the file and upload it."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or f"{self.sentence()} {self.action}")


class UrlInvalid(FetchFailed):
    """This is not an address that can be fetched."""

    code = "url_invalid"
    action = "Copy the full address of a page or a file, beginning with https:// or http://, without a password in it."


class UrlNotPublic(FetchFailed):
    """This address does not lead to the public internet."""

    code = "url_not_public"
    action = "Download the file on your computer and upload it."


class UrlUnreachable(FetchFailed):
    """No server answers at this address at the moment."""

    code = "url_unreachable"
    action = "Open it in a browser to check that it works, then try again."


class UrlNotTrusted(FetchFailed):
    """The server at this address cannot prove that it is the one named in it: its certificate is not valid."""

    code = "url_not_trusted"
    action = "Tell the site's owner, or download the file and upload it."


class UrlRefused(FetchFailed):
    """The server at this address does not give the document to the hub."""

    code = "url_refused"
    action = "Check that the page opens without signing in, or download the file and upload it."


class UrlTooLarge(FetchFailed):
    """The file at this address is larger than the hub accepts."""

    code = "url_too_large"
    action = "Download it, split it into smaller files and upload those."


class UrlTooSlow(FetchFailed):
    """The server at this address takes longer than the hub waits."""

    code = "url_too_slow"
    action = "Try again later, or download the file and upload it."


class UrlRedirects(FetchFailed):
    """This address leads on to others without end, or from https to http."""

    code = "url_redirects"
    action = "Open it in a browser and import the address that you arrive at."


class UrlNotADocument(FetchFailed):
    """The server at this address answers with something that is not a document."""

    code = "url_not_a_document"
    action = "Download the file on your computer and upload it."


def every_failure() -> list[type[FetchFailed]]:
    """Every reason there is."""
    return FetchFailed.__subclasses__()
