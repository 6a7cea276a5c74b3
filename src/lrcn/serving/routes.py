"""The addresses that take and give JSON and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from lrcn.errors import unknown_name_message
from lrcn.serving import schemas
from lrcn.serving.answers import answer_upload
from lrcn.serving.jobs import Job
from lrcn.serving.metrics import Metrics
from lrcn.serving.model_worker import ModelWorker
from lrcn.serving.refusals import Refusal
from lrcn.serving.settings import ServeSettings
from lrcn.serving.uploads import Form

MOST_NAMED = 1000
"""Labels, matches or samples that a request may ask for."""

Seconds = Annotated[float | None, Query(ge=0, le=1e9)]
Prob = Annotated[float | None, Query(ge=0, le=1)]
ModelName = Annotated[str | None, Query(description="As `/v1/models` names it. Left out, the first one of this task.")]
Start = Annotated[float, Query(ge=0, le=1e9, description="Where to begin, in seconds from the start of the video.")]
End = Annotated[float | None, Query(gt=0, le=1e9, description="Where to end, in seconds. Left out, the video's end.")]


def file_body(parts: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    """Return what OpenAPI says of a multipart body with such parts."""
    schema = {"type": "object", "properties": dict(parts), "required": required}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of requests without an answer."""
    said = {
        401: "There is no such key.",
        404: "There is no such model.",
        413: "The upload is larger than this server takes.",
        415: "The body is no multipart/form-data.",
        422: "What was sent cannot be used; the message says why.",
        429: "The queue is full, and Retry-After says for about how many seconds.",
        500: "The request failed inside the server.",
        504: "The request was not done in the time that one may take.",
        507: "The server's disk is full.",
    }
    return {status: {"model": schemas.Failure, "description": said[status]} for status in statuses}


def answered(model: type, example: object) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of the answers of a request with an upload."""
    return {
        200: {"model": model, "content": {"application/json": {"example": example}}},
        **refusals(401, 404, 413, 415, 422, 429, 500, 504, 507),
    }


_FILE = {"type": "string", "format": "binary"}


class Routes:
    """What answers requests: models by name, and how the server is set up."""

    def __init__(self, settings: ServeSettings, workers: Mapping[str, ModelWorker], metrics: Metrics) -> None:
        """Take the models by name."""
        self.settings, self.workers, self.metrics = settings, workers, metrics

    def check_key(self, authorization: str | None) -> None:
        """Make sure that a request brings a key, where one is wanted; `Refusal` 401 if not."""
        if self.settings.keys is not None and not self.settings.keys.allow(authorization):
            raise Refusal(401, "send a key: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})

    def worker(self, name: str | None, task: str) -> ModelWorker:
        """Return the model that a request names.

        Raises:
            Refusal: 404 if there is none, 422 if it is of another task.
        """
        of_task = [worker for worker in self.workers.values() if worker.served.task == task]
        if name is None:
            if not of_task:
                raise Refusal(404, f"no {task} model is served here; /v1/models lists what is")
            return of_task[0]
        if name not in self.workers:
            raise Refusal(404, unknown_name_message("model", name, sorted(self.workers)))
        worker = self.workers[name]
        if worker.served.task != task:
            raise Refusal(422, f"{name} is a {worker.served.task} model, and one of {task} is wanted")
        return worker

    # -- with files -----------------------------------------------------------------------------------------------

    async def recognize(
        self,
        request: Request,
        model: ModelName = None,
        top_k: Annotated[int, Query(ge=1, le=MOST_NAMED, description="Labels to name, most probable first.")] = 5,
        clip_stride: Annotated[
            int | None, Query(ge=1, description="Frames between the starts of neighbouring windows.")
        ] = None,
        start_s: Start = 0.0,
        end_s: End = None,
        roi: Annotated[
            str | None,
            Query(
                pattern=r"^\d{1,6},\d{1,6},\d{1,6},\d{1,6}$",
                description="Look at this part of the picture only: left,top,width,height in px.",
                examples=["120,80,400,300"],
            ),
        ] = None,
        crops: Annotated[Literal["1", "10"], Query(description="The centre, or the mean of the paper's ten.")] = "1",
        unknown_below: Annotated[
            float | None, Query(ge=0, le=1, description="Call `unknown` what has no class of this probability.")
        ] = None,
        bouts: Annotated[bool, Query(description="Also say what is shown from when to when.")] = False,
        threshold: Prob = None,
        smooth_s: Seconds = None,
        shortest_s: Seconds = None,
        longest_gap_s: Seconds = None,
    ) -> Response:
        """Say what happens in a video, and when: the answer of `lrcn recognize --json`."""
        settings = {
            "top_k": top_k,
            "clip_stride": clip_stride,
            "start_s": start_s,
            "end_s": _after(start_s, end_s),
            "roi": None if roi is None else tuple(map(int, roi.split(","))),
            "crops": int(crops),
            "unknown_below": unknown_below,
            "bouts": bouts,
            "threshold": threshold,
            "smooth_s": smooth_s,
            "shortest_s": shortest_s,
            "longest_gap_s": longest_gap_s,
        }

        def job_of(form: Form) -> Job:
            return Job(kind="recognize", settings=settings, uploads=(_one_file(form),))

        worker = self.worker(model, "recognition")
        return await answer_upload(request, worker, self.settings, frozenset({"file"}), job_of)

    async def caption(
        self,
        request: Request,
        model: ModelName = None,
        segment_s: Annotated[float, Query(ge=0.5, le=1e9, description="Length of the parts of long videos.")] = 10.0,
        start_s: Start = 0.0,
        end_s: End = None,
        beam_size: Annotated[int, Query(ge=1, le=100, description="Sentences followed at once; 1 is greedy.")] = 5,
        num_captions: Annotated[int, Query(ge=1, le=100)] = 1,
        max_length: Annotated[int, Query(ge=1, le=200, description="Most words of a caption.")] = 20,
        length_penalty: Annotated[float, Query(ge=0, le=10)] = 0.0,
        num_samples: Annotated[int, Query(ge=0, le=MOST_NAMED, description="Draw so many instead.")] = 0,
        temperature: Annotated[float, Query(ge=0.01, le=100)] = 1.0,
        top_k: Annotated[int | None, Query(ge=1, le=10**6, description="Draw from so many words only.")] = None,
        top_p: Annotated[float | None, Query(gt=0, le=1)] = None,
        seed: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        unknown_words: bool = False,
    ) -> Response:
        """Say in a sentence what a picture or video shows: the answer of `lrcn caption --json`."""
        settings = {
            "segment_s": segment_s,
            "start_s": start_s,
            "end_s": _after(start_s, end_s),
            "beam_size": beam_size,
            "num_captions": num_captions,
            "max_length": max_length,
            "length_penalty": length_penalty,
            "num_samples": num_samples,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "seed": seed,
            "unknown_words": unknown_words,
        }

        def job_of(form: Form) -> Job:
            return Job(kind="caption", settings=settings, uploads=(_one_file(form),))

        worker = self.worker(model, "captioning")
        return await answer_upload(request, worker, self.settings, frozenset({"file"}), job_of)

    async def retrieve(
        self,
        request: Request,
        model: ModelName = None,
        top_k: Annotated[int, Query(ge=1, le=MOST_NAMED, description="Matches to name, best first.")] = 10,
        scoring: Literal["release", "plain"] | None = None,
    ) -> Response:
        """Find the pictures that fit sentences, or the sentences that fit a picture: the answers of `lrcn retrieve`.

        Parts `images` and `text`: each text is a query. Parts `image` and `text`: the image is the query, and `images`
        are others to compare with.
        """

        def job_of(form: Form) -> Job:
            images, of_image, texts = form.files_named("images"), form.files_named("image"), form.texts_named("text")
            if len(of_image) > 1 or not texts or not (images or of_image):
                raise Refusal(422, "send parts `images` and `text`, or one `image` and `text`")
            settings = {"texts": texts, "of_image": bool(of_image), "top_k": top_k, "scoring": scoring}
            return Job(kind="retrieve", settings=settings, uploads=(*of_image, *images))

        worker = self.worker(model, "captioning")
        allowed = frozenset({"image", "images", "text"})
        return await answer_upload(request, worker, self.settings, allowed, job_of)

    # -- without --------------------------------------------------------------------------------------------------

    async def models(self) -> Response:
        """Say which models are served."""
        listed = [
            {"name": name, "task": worker.served.task, "ready": worker.ready, **worker.about}
            for name, worker in self.workers.items()
        ]
        return JSONResponse({"models": listed})

    async def health(self) -> Response:
        """Say that the server runs."""
        return JSONResponse({"status": "ok"})

    async def ready(self) -> Response:
        """Say whether all models can answer; 503 while a process is started, or started again."""
        ready = all(worker.ready for worker in self.workers.values())
        states = {name: worker.state() for name, worker in self.workers.items()}
        return JSONResponse({"ready": ready, "models": states}, 200 if ready else 503)

    async def figures(self) -> Response:
        """Return figures for Prometheus."""
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def make_router(routes: Routes, checks: Sequence[Any]) -> APIRouter:
    """Return the addresses; `checks` are the dependencies of those that want a key."""
    router = APIRouter()
    for method, path, endpoint, required, parts, responses in (
        (
            "recognize",
            "/v1/recognize",
            routes.recognize,
            ["file"],
            {"file": _FILE},
            answered(schemas.Recognition, schemas.RECOGNITION),
        ),
        (
            "caption",
            "/v1/caption",
            routes.caption,
            ["file"],
            {"file": _FILE},
            answered(schemas.Captions, schemas.CAPTIONS),
        ),
        (
            "retrieve",
            "/v1/retrieve",
            routes.retrieve,
            ["text"],
            {
                "images": {"type": "array", "items": _FILE},
                "image": _FILE,
                "text": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            },
            answered(schemas.Retrievals, schemas.RETRIEVALS),
        ),
    ):
        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            operation_id=method,
            responses=responses,
            openapi_extra=file_body(parts, required),
            dependencies=checks,
            response_class=Response,
        )
    router.add_api_route(
        "/v1/models",
        routes.models,
        operation_id="models",
        responses={200: {"model": schemas.Models}, **refusals(401)},
        dependencies=checks,
    )
    router.add_api_route("/health", routes.health, operation_id="health", responses={200: {"model": schemas.Health}})
    router.add_api_route(
        "/ready",
        routes.ready,
        operation_id="ready",
        responses={200: {"model": schemas.Readiness}, 503: {"model": schemas.Readiness}},
    )
    router.add_api_route(
        "/metrics",
        routes.figures,
        operation_id="metrics",
        responses={200: {"content": {"text/plain": {}}}, **refusals(401)},
        dependencies=checks,
        response_class=Response,
    )
    return router


def _one_file(form: Form) -> Any:
    uploads = form.files_named("file")
    if len(uploads) != 1 or form.texts:
        raise Refusal(422, f"send one file in the part `file`, got {len(uploads)}")
    return uploads[0]


def _after(start_s: float, end_s: float | None) -> float | None:
    if end_s is not None and end_s <= start_s:
        raise Refusal(422, f"end_s must lie after start_s, got {end_s:g} and {start_s:g}")
    return end_s
