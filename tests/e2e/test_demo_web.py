"""`demo --web`: the dashboard in a browser on this machine only."""

import asyncio
import itertools
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.programs import run, started

pytestmark = pytest.mark.e2e

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VERIFIED_GREEN = (0x4C, 0xC1, 0x60)
COUNT_GREEN = """
(async () => {
  const image = new Image();
  image.src = "data:image/png;base64,%s";
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, image.width, image.height).data;
  let count = 0;
  for (let i = 0; i < data.length; i += 4)
    if (data[i] === %d && data[i + 1] === %d && data[i + 2] === %d) count++;
  return count;
})()
"""


@pytest.fixture
def site() -> Iterator[str]:
    pytest.importorskip("textual_serve", reason="the extra `web` is not installed")
    with started("demo", "--web", "--port", "0", "--speed", "8", timeout_seconds=120) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()  # if it is killed, its demos keep running
        process.wait()


async def test_web_socket_delivers_frames(site: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as http:
        async with http.get(site) as page:
            assert page.status == 200
            assert "'self'" in page.headers["Content-Security-Policy"]
            assert "upload-tui demo" in await page.text()
        async with http.get(f"{site}/?fontsize=28") as page:
            assert 'data-font-size="28"' in await page.text()
        painted = b""
        async with asyncio.timeout(60), http.ws_connect(f"{site}/ws?width=120&height=40") as socket:
            while not (b"verified" in painted and b"live" in painted):
                painted += (await socket.receive(timeout=30)).data or b""
    assert site.startswith("http://127.0.0.1:")


async def test_web_socket_of_another_site_is_rejected(site: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(f"{site}/ws", headers={"Origin": "https://evil.test"})
    assert caught.value.status == 403


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
async def test_browser_paints_verified_uploads_green(site: str, tmp_path: Path) -> None:
    with browser(site, tmp_path) as debugging_url:
        async with asyncio.timeout(90), debugging(debugging_url, site) as call:
            while await green_pixels(call) < 20:
                pass


async def green_pixels(call: Any) -> int:
    picture = (await call("Page.captureScreenshot", format="png"))["data"]
    script = COUNT_GREEN % (picture, *VERIFIED_GREEN)
    answer = await call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
    return int(answer["result"]["value"])


@contextmanager
def browser(site: str, folder: Path) -> Iterator[str]:
    """Open a page in a headless browser; yield the URL of its debugging protocol."""
    assert CHROMIUM is not None
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900", "--remote-debugging-port=0"]
    command = [CHROMIUM, *switches, f"--user-data-dir={folder}", site]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            listening = next(line for line in process.stderr if "DevTools listening on" in line)
            yield f"http://{listening.split('ws://')[1].partition('/')[0]}"
        finally:
            process.kill()


@asynccontextmanager
async def debugging(debugging_url: str, site: str) -> AsyncIterator[Any]:
    """Yield a function that calls the debugging protocol of the page."""
    import aiohttp

    async with aiohttp.ClientSession() as http:
        found: list[dict[str, Any]] = []
        while not found:
            async with http.get(f"{debugging_url}/json/list") as pages:
                entries = await pages.json(content_type=None)
            found = [entry for entry in entries if entry["url"].startswith(site)]
        async with http.ws_connect(found[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            numbers = itertools.count(1)

            async def call(method: str, **parameters: Any) -> Any:
                number = next(numbers)
                await socket.send_str(json.dumps({"id": number, "method": method, "params": parameters}))
                while (answer := json.loads(await socket.receive_str())).get("id") != number:
                    pass
                assert "error" not in answer, answer
                return answer["result"]

            yield call


def test_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "textual_serve.py").write_text("raise ImportError('not installed')\n")
    result = run("demo", "--web", environment={"PYTHONPATH": str(tmp_path)})
    assert (result.code, result.out) == (2, "")
    assert "pip install 'upload-tui[web]'" in result.err


def test_port_in_use_is_reported(site: str) -> None:
    result = run("demo", "--web", "--port", site.rpartition(":")[2], program=(sys.executable, "-m", "upload_tui"))
    assert result.code == 2
    assert "--port" in result.err


@pytest.mark.parametrize(
    ("signal_number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["int", "term", "hup"],
)
async def test_server_ends_its_demos(signal_number: int, code: int) -> None:
    aiohttp = pytest.importorskip("aiohttp", reason="the extra `web` is not installed")
    with started("demo", "--web", "--port", "0") as process:
        assert process.stdout is not None
        site = process.stdout.readline().strip()
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{site}/ws") as socket:
            await socket.receive(timeout=60)
            demos = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal_number)
            assert await asyncio.to_thread(process.wait) == code
    assert demos
    async with asyncio.timeout(30):
        while any(map(is_running, demos)):
            await asyncio.sleep(0.02)


def is_running(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def test_interrupt_is_exit_code_130() -> None:
    pytest.importorskip("textual_serve", reason="the extra `web` is not installed")
    with started("demo", "--web", "--port", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", "")
