"""What clients of OpenAI and Anthropic ask beside an answer: which models, and how many tokens."""

from typing import Annotated

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from litestar.response.base import ASGIResponse

from chatnest.adapters.transport import (
    AnthropicDialect,
    OpenAIChatDialect,
    decode_count,
    encode_count,
    model_list,
    one_model,
)
from chatnest.adapters.transport.anthropic_body import PromptBody
from chatnest.adapters.transport.anthropic_count import CountBody
from chatnest.adapters.transport.anthropic_problems import ErrorBody as AnthropicError
from chatnest.adapters.transport.openai_models import Model, ModelList
from chatnest.adapters.transport.openai_problems import ErrorBody as OpenAIError
from chatnest.app.auth import identify
from chatnest.app.bodies import read_body
from chatnest.app.config import HttpConfig
from chatnest.app.http_paths import paths_of
from chatnest.app.openapi import (
    AlwaysValidOperation,
    error_responses,
    json_operation,
    json_response,
)
from chatnest.app.serving import AnyRequest, CurrentServing, failure_response, plain_response
from chatnest.domain.errors import PublicError

_MODEL_NOT_FOUND = PublicError("not_found", "There is no model of this name.")


def v1_handlers(current: CurrentServing, http: HttpConfig) -> list[HTTPRouteHandler]:
    """Those of the dialects that *http* mounts, each at its whole path."""
    paths = paths_of(http)
    handlers: list[HTTPRouteHandler] = []
    if "openai" in http.dialects:
        handlers += _model_handlers(current, paths.models)
    if "anthropic" in http.dialects:
        handlers.append(_count_handler(current, paths.count_tokens))
    return handlers


def _model_handlers(current: CurrentServing, path: str) -> list[HTTPRouteHandler]:
    dialect = OpenAIChatDialect()
    refused = error_responses((401, "A key is needed, or it is not known."), error=OpenAIError)
    unknown = error_responses((404, "There is no such model."), error=OpenAIError)

    @get(
        path,
        operation_id="models",
        summary="Models",
        responses={
            200: json_response(ModelList, "What a request may name as its model."),
            **refused,
        },
    )
    async def models(request: AnyRequest) -> ASGIResponse:
        """The public names of the routes, the usual one first."""
        serving = current()
        try:
            await identify(serving.resolve_principal, request)
        except Exception as error:
            return failure_response(dialect, error)
        return plain_response(model_list(serving.service.models, serving.started_at))

    @get(
        f"{path}/{{name:path}}",
        operation_class=AlwaysValidOperation,
        operation_id="model",
        summary="Model",
        responses={200: json_response(Model, "That there is such a model."), **refused, **unknown},
    )
    async def model(
        request: AnyRequest,
        name: Annotated[str, PathParameter(description="The public name of a route.")],
    ) -> ASGIResponse:
        """Whether a request may name this model."""
        serving = current()
        try:
            await identify(serving.resolve_principal, request)
        except Exception as error:
            return failure_response(dialect, error)
        asked = name.removeprefix("/")
        if asked not in serving.service.models:
            return plain_response(dialect.error(_MODEL_NOT_FOUND))
        return plain_response(one_model(asked, serving.started_at))

    return [models, model]


def _count_handler(current: CurrentServing, path: str) -> HTTPRouteHandler:
    dialect = AnthropicDialect()

    @post(
        path,
        status_code=200,
        request_max_body_size=None,
        operation_class=json_operation(PromptBody),
        operation_id="count_tokens",
        summary="Tokens of a prompt",
        responses={
            200: json_response(CountBody, "How many tokens the prompt has, as it is estimated."),
            **error_responses(
                (400, "The request is not understood."),
                (401, "A key is needed, or it is not known."),
                error=AnthropicError,
            ),
        },
    )
    async def count_tokens(request: AnyRequest) -> ASGIResponse:
        """Count what a request would send; nothing is asked of a provider, and nothing is spent."""
        serving = current()
        try:
            await identify(serving.resolve_principal, request)
            body = await read_body(request, serving.config.max_body_bytes, serving.clock)
            asked = decode_count(body)
            tokens = await serving.service.count_tokens(asked.model, asked.messages, asked.tools)
        except Exception as error:
            return failure_response(dialect, error)
        return plain_response(encode_count(tokens))

    return count_tokens
