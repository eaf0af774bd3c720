"""The list of models, byte for byte, and as OpenAI's own client reads it."""

from chatnest.adapters.transport.openai_models import model_list, one_model
from tests.adapters.transport.examples import NOW
from tests.adapters.transport.openai_sdk import Served, client_of

SERVED = Served()
CLIENT = client_of(SERVED)


def test_each_route_is_a_model() -> None:
    response = model_list(["fast", 'clever "1"'], NOW + 999_999)
    assert (response.status, response.headers) == (200, (("content-type", "application/json"),))
    assert response.body == (
        b'{"data":[{"id":"fast","created":1795370400,"object":"model","owned_by":"chatnest"},'
        b'{"id":"clever \\"1\\"","created":1795370400,"object":"model","owned_by":"chatnest"}],'
        b'"object":"list"}'
    )
    SERVED.whole(response)
    assert [model.id for model in CLIENT.models.list()] == ["fast", 'clever "1"']


def test_one_route_is_one_model() -> None:
    SERVED.whole(one_model("fast", NOW))
    model = CLIENT.models.retrieve("fast")
    assert (model.id, model.object, model.owned_by) == ("fast", "model", "chatnest")
    assert model.created == NOW // 10**6
