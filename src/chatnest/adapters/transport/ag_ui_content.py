"""Content of AG-UI's messages that is more than one text: parts, among them pictures."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from chatnest.adapters.transport.image_urls import image_part
from chatnest.domain.errors import InvalidRequestError
from chatnest.domain.messages import ImagePart, Part, TextPart


class DataSource(msgspec.Struct, tag_field="type", tag="data", rename="camel"):
    """Bytes in base64."""

    value: str
    mime_type: str


class UrlSource(msgspec.Struct, tag_field="type", tag="url"):
    """An address, for the provider to fetch."""

    value: str


class FileSource(msgspec.Struct, tag_field="type", tag="file"):
    """A file that one provider holds."""


class TextBody(msgspec.Struct, tag_field="type", tag="text"):
    """A text."""

    text: str


class ImageBody(msgspec.Struct, tag_field="type", tag="image"):
    """A picture."""

    source: DataSource | UrlSource | FileSource


class BinaryBody(msgspec.Struct, tag_field="type", tag="binary", rename="camel"):
    """A picture or another file, as clients before 1.0 sent it."""

    mime_type: str
    url: str | None = None
    data: str | None = None


class AudioBody(msgspec.Struct, tag_field="type", tag="audio"):
    """A sound; no provider here is sent one."""


class VideoBody(msgspec.Struct, tag_field="type", tag="video"):
    """A film; no provider here is sent one."""


class DocumentBody(msgspec.Struct, tag_field="type", tag="document"):
    """A document; no provider here is sent one."""


ContentBody = TextBody | ImageBody | BinaryBody | AudioBody | VideoBody | DocumentBody

CONTENT_EXPECTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "": 'must be an object with "type"',
        ".type": 'must be "text" or "image"',
        ".text": "must be a text",
        ".source": 'must be an object with "type" and "value"',
        ".source.type": 'must be "data" or "url"',
        ".source.value": "must be a text",
        ".source.mimeType": "must be a text",
    }
)
"""What each field of a part must be."""


def content_parts(content: str | list[ContentBody], path: str) -> list[Part]:
    """The parts of *content*, which stood at *path*.

    Raises:
        InvalidRequestError: one of them is neither a text nor a picture that a provider can fetch.
    """
    if isinstance(content, str):
        return [TextPart(content)]
    return [_part(part, f"{path}[{index}]") for index, part in enumerate(content)]


def _part(part: ContentBody, path: str) -> Part:
    match part:
        case TextBody(text=text):
            return TextPart(text)
        case ImageBody(source=DataSource(value=value, mime_type=mime_type)):
            return image_part(f"data:{mime_type};base64,{value}", f"{path}.source")
        case ImageBody(source=UrlSource(value=value)):
            return image_part(value, f"{path}.source.value")
        case BinaryBody():
            return _binary(part, path)
        case ImageBody():
            raise InvalidRequestError(
                "is a file that only one provider has; send the picture itself",
                field=f"{path}.source",
            )
        case _:
            raise _not_taken(f"{path}.type")


def _binary(part: BinaryBody, path: str) -> ImagePart:
    if not part.mime_type.startswith("image/"):
        raise _not_taken(f"{path}.mimeType")
    url = part.url or f"data:{part.mime_type};base64,{part.data or ''}"
    return image_part(url, path)


def _not_taken(field: str) -> InvalidRequestError:
    return InvalidRequestError(
        "is neither a text nor a picture; no other part is taken", field=field
    )
