"""What the description in OpenAPI promises, of generated requests to a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from tests.serving.running import PATIENCE_S, Running

KEY = "a-key-for-this-test-alone"


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    temp = tmp_path_factory.mktemp("uploads")
    (temp / "keys").write_text(f"{KEY}\n")
    running = Running(str(tiny_model), "--keys", str(temp / "keys"), temp=temp)
    running.wait_ready()
    yield running
    running.kill()


def test_generated_requests_get_what_is_described(server: Running) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    headers = {"Authorization": f"Bearer {KEY}"}
    operations = [result.ok() for result in schema.get_all_operations()]
    assert {operation.path for operation in operations} >= {"/v1/recognize", "/v1/caption", "/v1/retrieve", "/ready"}
    for operation in operations:
        for mode in GenerationMode:
            if mode is GenerationMode.NEGATIVE and not (operation.query or operation.body):
                continue

            @settings(
                max_examples=6,
                deadline=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: schemathesis.Case) -> None:
                # no file that is made up is a video, and no name that is made up a model
                case.call_and_validate(excluded_checks=[positive_data_acceptance], timeout=PATIENCE_S, headers=headers)

            check()
    assert httpx.get(f"{server.url}/ready", timeout=PATIENCE_S).json()["models"]["tiny"]["restarts"] == 0
    assert "Traceback" not in "".join(server.lines)
    assert server.left_behind() == []


def test_every_answer_is_described_with_an_example(server: Running) -> None:
    described = httpx.get(f"{server.url}/openapi.json").json()
    for path in ("/v1/recognize", "/v1/caption", "/v1/retrieve"):
        operation = described["paths"][path]["post"]
        assert operation["responses"]["200"]["content"]["application/json"]["example"]
        assert {"401", "404", "413", "415", "422", "429", "500", "504"} <= set(operation["responses"])
        assert "multipart/form-data" in operation["requestBody"]["content"]
