"""Addresses of pictures, as a client may send them on to a provider."""

import re

from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import ImagePart

_ADDRESS = re.compile(
    r"(?i:https)://[!-~]+|(?i:data:image/[a-z0-9.+-]+;base64),[A-Za-z0-9+/=_-]+", re.ASCII
)


def image_part(url: str, field: str) -> ImagePart:
    """The picture at *url*, the value of *field*.

    A provider fetches it, so nothing else than ``https:`` is taken: no ``file:``, no plain text.

    Raises:
        InvalidRequestError: *url* is no such address.
    """
    if not _ADDRESS.fullmatch(url):
        raise InvalidRequestError(
            'must be an "https:" address of a picture, or a "data:image/...;base64," URL',
            field=field,
        )
    return ImagePart(url)
