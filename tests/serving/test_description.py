"""The description of the API is that of the running server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serving.conftest import Served

CHECKS: list[Any] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
]  # fmt: skip
READ = ("/v1/health", "/v1/labels", "/v1/models", "/v1/metrics")
SENT = ("/v1/classify", "/v1/embed/image", "/v1/embed/text", "/v1/search")


@pytest.fixture(scope="module")
def described(served: Served) -> Any:
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json")


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(("path", "method"), [*((path, "GET") for path in READ), *((path, "POST") for path in SENT)])
def test_the_server_answers_as_it_is_described(described: Any, path: str, method: str, mode: GenerationMode) -> None:
    if method == "GET" and mode is GenerationMode.NEGATIVE:
        return  # there is nothing that could be wrong

    @settings(max_examples=10, suppress_health_check=list(HealthCheck), deadline=None)
    @given(case=described[path][method].as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        answer = case.call_and_validate(checks=CHECKS)
        is_wrong = mode is GenerationMode.NEGATIVE and case.media_type == "application/json"
        assert not is_wrong or 400 <= answer.status_code < 500

    check()


def test_the_page_of_the_description_lists_all_paths(client: httpx.Client) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page
