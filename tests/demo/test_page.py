"""The page in a real browser: what is uploaded, clicked, read and downloaded, and what it asks for."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.conftest import CHROMIUM_FLAGS, MakeClip
from tests.demo.conftest import EVIL, RunningDemo, start_demo

from lrcn.demo.markup import percent
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.writers import WRITERS

playwright = pytest.importorskip("playwright.sync_api")
if find_spec("gradio") is None:  # which takes seconds to import, and the server does so
    pytest.skip("needs Gradio", allow_module_level=True)

WALKING = Path(str(files("lrcn") / "assets" / "walking.mp4"))
MOST_MS = 180_000
"""For what a browser waits for: a busy machine takes long for a page."""

FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def demo(
    bouts_model: Path, tiny_caption_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDemo]:
    """The page with a shipped model, and a folder of three of which one is damaged behind its header."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "models").mkdir()
    shutil.copy(bouts_model, folder / "models" / "bouts.safetensors")
    shutil.copy(tiny_caption_model, folder / "models" / "captions.safetensors")
    content = bytearray(bouts_model.read_bytes())
    content[-1] ^= 1
    (folder / "models" / "damaged.safetensors").write_bytes(content)
    running = start_demo(folder / "run", "demo", str(folder / "models"))
    yield running
    running.process.kill()  # where the last test has not ended it


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    with playwright.sync_playwright() as engine:
        running = engine.chromium.launch(
            executable_path=chromium, args=[*CHROMIUM_FLAGS, *FAKE_CAMERA], timeout=MOST_MS
        )
        yield running
        running.close()


class Window:
    """A window that lets nothing out and notes all that goes wrong."""

    def __init__(self, browser: Any, demo: RunningDemo, **settings: Any) -> None:
        self.demo = demo
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **settings})
        self.context.route(lambda url: not url.startswith((demo.address, "data:", "blob:")), self._block)
        self.context.set_default_timeout(MOST_MS)
        self.page = self.context.new_page()
        self.outside: list[str] = []
        self.wrong: list[str] = []
        self.page.on("console", lambda line: line.type == "error" and self.wrong.append(line.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def _block(self, route: Any) -> None:
        self.outside.append(route.request.url)
        route.abort()

    @contextmanager
    def opened(self) -> Iterator[Window]:
        """Open the page, and make sure at the end that nothing went wrong in it or on the server."""
        told_before = len(self.demo.errors.read_text())
        self.page.goto(self.demo.address)
        self.page.get_by_role("button", name="Recognise").wait_for()
        try:
            yield self
        finally:
            self.context.close()
        assert self.outside == []
        assert self.wrong == []
        assert self.demo.errors.read_text()[told_before:] == ""

    def choose(self, model: str) -> None:
        self.page.get_by_label("Model").click()
        self.page.get_by_role("option", name=model, exact=True).click()

    def upload(self, path: Path) -> None:
        self.page.set_input_files("#video input[type=file]", path)
        self.page.locator("#video video").wait_for(state="attached")

    def answer(self, button: str = "Recognise") -> Any:
        before = self.page.locator("#answer").inner_html()
        self.page.get_by_role("button", name=button).click()
        self.page.wait_for_function("before => document.querySelector('#answer').innerHTML !== before", arg=before)
        found = self.page.locator(".lrcn.answer, .lrcn.problem")
        found.wait_for()
        return found

    def download(self, name: str) -> Path:
        with self.page.expect_download() as started:
            self.page.locator(f"#download a[download='{name}']").click()
        return Path(started.value.path())

    def scroll_width(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


@pytest.fixture
def window(browser: Any, demo: RunningDemo, request: pytest.FixtureRequest) -> Iterator[Window]:
    with Window(browser, demo, **getattr(request, "param", {})).opened() as window:
        yield window


@pytest.mark.slow
def test_a_video_is_uploaded_recognised_and_its_results_downloaded(window: Window) -> None:
    expected = Recognizer.load("demo", device="cpu")(WALKING)
    window.upload(WALKING)
    answer = window.answer()
    assert answer.locator(".verdict .label").inner_text() == expected.label == "walk"
    assert answer.locator(".verdict .prob").inner_text() == percent(expected.top[0].prob)
    assert answer.locator(".strip img").count() == 8
    assert answer.locator(".lane svg").count() >= 1
    window.page.locator("#download a[download]").first.wait_for()  # another event brings them, after the answer
    names = window.page.locator("#download a[download]").evaluate_all("links => links.map(link => link.download)")
    formats = [name for name, writer in WRITERS.items() if "recognition" in writer.tasks]
    assert sorted(names) == sorted(
        ["walking.csv", "walking.jsonl", "walking.srt", "walking.vtt", "walking.explained.png"]
        + [f"walking.{name}.csv" for name in ("timeline", "window-probs")]
    )
    assert len(names) == len(formats) + 1
    found = json.loads(window.download("walking.jsonl").read_text())
    stated = json.loads(expected.to_json())
    assert found["source"] == "walking.mp4"
    assert {name: found[name] for name in ("top", "segments", "known")} == {
        name: stated[name] for name in ("top", "segments", "known")
    }
    assert window.download("walking.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:04,167\nwalk ")
    assert Image.open(window.download("walking.explained.png")).size[0] > 500
    assert window.scroll_width() <= 1200


@pytest.mark.slow
@pytest.mark.parametrize("window", [{"viewport": {"width": 400, "height": 800}, "color_scheme": "dark"}], indirect=True)
def test_it_reads_well_on_a_phone_in_the_dark(window: Window, bouts_model: Path, clip20: Path) -> None:
    """`clip20` is of a format that no browser plays; the label of the model is markup."""
    assert window.scroll_width() <= 400
    window.choose("bouts")
    window.page.get_by_text(f"Knows walk, {EVIL}, jump.").wait_for()
    window.upload(clip20)
    answer = window.answer()
    found = Recognizer.load(bouts_model, device="cpu").find_bouts(clip20)
    labels = answer.locator("table.bouts tbody td:nth-child(3)").all_inner_texts()
    assert labels == [bout.label for bout in found.bouts]
    assert EVIL in labels
    assert window.page.title() == "lrcn demo"
    assert window.scroll_width() <= 400
    for place in (".lrcn.answer", ".lrcn.head .note", ".lrcn.answer .foot"):
        assert contrast(window.page, place) > 4.5


def contrast(page: Any, place: str) -> float:
    """Return the contrast of a text with what is behind it, as WCAG 2 defines it."""
    colours = page.locator(place).evaluate(
        """element => {
          const ink = getComputedStyle(element).color;
          let ground = "rgba(0, 0, 0, 0)";
          for (; ground === "rgba(0, 0, 0, 0)"; element = element.parentElement)
            ground = getComputedStyle(element).backgroundColor;
          return [ink, ground].map(colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number));
        }"""
    )
    lightness = []
    for colour in np.array(colours) / 255:
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        lightness.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(lightness) + 0.05) / (min(lightness) + 0.05)


@pytest.mark.slow
def test_a_picture_is_described(window: Window, tiny_caption_model: Path, frames20: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(frames20[0]).save(tmp_path / "one.png")
    window.choose("captions")
    window.page.get_by_role("tab", name="Picture").click()
    assert contrast(window.page, ".lrcn.head .note") > 4.5
    problem = window.answer("Describe")
    assert problem.inner_text() == "Choose a video or a picture first."
    window.page.set_input_files("#picture input[type=file]", tmp_path / "one.png")
    window.page.locator("#picture img").wait_for()
    answer = window.answer("Describe")
    expected = Captioner.load(tiny_caption_model, device="cpu")(tmp_path / "one.png")
    assert answer.locator(".verdict").inner_text() == expected.text
    assert json.loads(window.download("one.json").read_text()) == [{"image_id": "one", "caption": expected.text}]


@pytest.mark.slow
def test_what_goes_wrong_is_one_line_on_the_page(window: Window, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video" * 100)
    window.upload(tmp_path / "broken.mp4")
    answer = window.answer()
    assert answer.get_attribute("role") == "alert"
    told = answer.inner_text()
    assert told.startswith("broken.mp4: ")
    assert "\n" not in told
    assert "/" not in told
    assert window.page.locator("#download").count() == 0
    window.choose("damaged")
    window.page.get_by_text("damaged.safetensors").wait_for()


COUNT_RECORDED = """
const start = MediaRecorder.prototype.start;
MediaRecorder.prototype.start = function (...options) {
  window.recorded = 0;
  this.addEventListener("dataavailable", event => { window.recorded += event.data.size; });
  return start.apply(this, options);
};
"""


@pytest.mark.slow
def test_the_camera_records_a_clip(browser: Any, demo: RunningDemo) -> None:
    """A busy machine takes seconds until the first frames are recorded."""
    fresh = Window(browser, demo)
    fresh.context.add_init_script(COUNT_RECORDED)
    with fresh.opened() as window:
        window.choose("bouts")
        window.page.locator("#video").get_by_role("button", name="Capture from camera").click()
        window.page.locator("#video").get_by_text("Click to Access Webcam").click()
        button = window.page.get_by_role("button", name="start recording")
        button.click()
        window.page.wait_for_function("window.recorded > 8000")
        button.click()  # it keeps its name
        window.page.locator("#video video[src]").wait_for()
        answer = window.answer()
        assert answer.get_attribute("role") is None, answer.inner_text()
        assert answer.locator(".foot").inner_text().startswith("sample.webm, ")


@pytest.mark.slow
def test_the_browser_refuses_what_the_page_would_load_from_elsewhere(window: Window) -> None:
    window.page.evaluate(
        """() => new Promise(done => {
          document.addEventListener("securitypolicyviolation", event => done(event.effectiveDirective));
          new Image().src = "http://192.0.2.1/pixel.png";
        })"""
    )
    assert window.outside == []
    assert len(window.wrong) == 1
    assert "Content Security Policy" in window.wrong.pop()


@pytest.mark.slow
def test_a_hand_made_request_gets_at_no_file_and_no_address(demo: RunningDemo) -> None:
    with httpx.Client(base_url=demo.address, trust_env=False, timeout=60) as client:
        functions = client.get("/config").json()["dependencies"]
        assert len(functions) == 5
        for place, meta in (
            (str(WALKING), {"meta": {"_type": "gradio.FileData"}}),
            (str(WALKING), {}),
            (f"{demo.temporary}/../errors.txt", {"meta": {"_type": "gradio.FileData"}}),
            ("http://192.0.2.1/x.mp4", {"meta": {"_type": "gradio.FileData"}}),
        ):
            for function in functions:
                upload = {"path": place, **meta}
                asked = {"data": [upload, "demo"][: len(function["inputs"])], "fn_index": function["id"]}
                client.post("/gradio_api/queue/join", json={**asked, "session_hash": "mine"}).raise_for_status()
                with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "mine"}) as lines:
                    events = [json.loads(line.removeprefix("data: ")) for line in lines.iter_lines() if line]
                (last,) = [event for event in events if event["msg"] == "process_completed"]
                refused = not last["success"] or "that was uploaded here" in last["output"]["data"][0]
                assert refused, (place, meta, function["targets"])
            found = client.get(f"/gradio_api/file={place}", follow_redirects=False)
            assert found.status_code == 403 or found.headers["location"] == place


@pytest.mark.slow
def test_ctrl_c_gives_up_what_is_looked_at_and_leaves_nothing(
    demo: RunningDemo, make_clip: MakeClip, frames20: np.ndarray, tmp_path: Path
) -> None:
    """The last test here: the server is gone then, and has connected to nobody but itself."""
    long = make_clip(tmp_path / "long.avi", np.tile(frames20, (100, 1, 1, 1)), 10)
    told_before = len(demo.errors.read_text())
    with httpx.Client(base_url=demo.address, trust_env=False, timeout=60) as client:
        functions = client.get("/config").json()["dependencies"]
        (path,) = client.post("/gradio_api/upload", files={"files": (long.name, long.read_bytes())}).json()
        asked = {
            "data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, "demo"],
            "fn_index": next(function["id"] for function in functions if len(function["inputs"]) == 2),
            "session_hash": "mine",
        }
        client.post("/gradio_api/queue/join", json=asked).raise_for_status()
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "mine"}) as lines:
            next(line for line in lines.iter_lines() if "of 200 s" in line)
            demo.process.send_signal(signal.SIGINT)
            assert demo.process.wait(120) == 0
    assert list(demo.temporary.iterdir()) == []
    assert "Traceback" not in demo.errors.read_text()[told_before:]
    told = demo.connections.read_text() if demo.connections.exists() else ""
    assert [line for line in told.splitlines() if "127.0.0.1" not in line] == []
