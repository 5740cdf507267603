"""`metrics`: what Prometheus and a health check get, of a service and of a source, also while they cannot be read."""

import http.client
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.e2e.programs import TIMEOUT_SECONDS, Process, run, serving, started
from tests.unit.monitor.test_metrics import samples

pytestmark = pytest.mark.e2e

LISTEN = ("metrics", "--listen", ":0")
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def get(address: str, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def address_of(process: Process) -> str:
    assert process.stdout is not None
    return urlsplit(process.stdout.readline().strip()).netloc


def get_until(address: str, path: str, status: int) -> str:
    while (answer := get(address, path))[0] != status:
        assert answer[0] in {200, 503}
    return answer[1]


def check(text: str) -> None:
    """Let promtool check metrics, if it is installed (Debian's package `prometheus`)."""
    if promtool := shutil.which("promtool"):
        done = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_service_is_watched_and_reported_as_by_the_report() -> None:
    with (
        serving() as served,
        started(*LISTEN, environment={**served.environment, "UPLOAD_TUI_REFRESH": "0.05"}) as process,
    ):
        address = address_of(process)
        assert get_until(address, "/healthz", 200) == "ok\n"
        served.finish(served.begin("one.bin"))
        stages, text = samples(""), ""
        while not any("stage=verified" in key and value == 1 for key, value in stages.items()):
            status, text = get(address, "/metrics")
            assert status == 200
            stages = samples(text)
        check(text)
        report = served.run("report", "--prometheus").out
        check(report)
        uploads = {key: value for key, value in samples(report).items() if key[0] == "upload_tui_uploads"}
        assert uploads == {key: value for key, value in stages.items() if key[0] == "upload_tui_uploads"}
        assert stages["upload_tui_requests_total", "code=200", f"service={served.url}"] > 1
        assert get(address, "/elsewhere")[0] == 404
        process.terminate()
        assert process.wait(TIMEOUT_SECONDS) == 143


def test_several_projects_of_a_source_have_figures_of_their_own(tmp_path: Path) -> None:
    uploads: list[dict[str, Any]] = [
        {"id": "1", "name": "a", "project": "in", "stage": "initiated", "size": 5},
        {"id": "2", "name": "b", "project": "out", "stage": "verified"},
    ]
    listing = tmp_path / "listing"
    listing.write_text("".join(f"{json.dumps(upload)}\n" for upload in uploads))
    command = shlex.join([sys.executable, "-c", "import sys; print(open(sys.argv[1]).read())", str(listing)])
    projects = [word for name in ("in", "out", "none") for word in ("--project", name)]
    with started(*LISTEN, "--command", command, *projects) as process:
        address = address_of(process)
        get_until(address, "/healthz", 200)
        text = get(address, "/metrics")[1]
        assert process.stderr is not None
        assert "No project with the id or name none is in the listing" in process.stderr.readline()
    check(text)
    counts = {key[1:]: value for key, value in samples(text).items() if key[0] == "upload_tui_uploads" and value}
    assert [(key[0], key[-1]) for key in counts] == [
        ("project=in", "stage=initiated"),
        ("project=out", "stage=verified"),
    ]
    assert "upload_tui_requests_total{" not in text


def test_a_service_that_cannot_be_reached_is_down_and_tried_again() -> None:
    environment = {"UPLOAD_TUI_URL": "http://127.0.0.1:9", "UPLOAD_TUI_TOKEN": "t"}
    with started(*LISTEN, environment=environment) as process:
        address = address_of(process)
        while "Connection refused" not in (health := get_until(address, "/healthz", 503)):
            assert process.poll() is None
        assert health.startswith("http://127.0.0.1:9: ")
        found = samples(get(address, "/metrics")[1])
        assert found["upload_tui_up", "service=http://127.0.0.1:9"] == 0
        assert found["upload_tui_requests_total", "code=none", "service=http://127.0.0.1:9"] > 0


@pytest.mark.parametrize("address", ["9187", "127.0.0.1:", ":", "127.0.0.1:65536", "host.invalid:0", "127.0.0.1:x"])
def test_an_address_that_cannot_be_listened_on_is_refused(address: str) -> None:
    result = run("metrics", "--listen", address, environment={"UPLOAD_TUI_URL": "http://127.0.0.1:9"})
    assert result.code == 2
    assert "--listen" in result.err


def write_recipes(folder: Path, address: str = "127.0.0.1:9187", *, settings: str = "") -> Path:
    """Write the README's configuration of Prometheus and its rules, with another address to scrape."""
    config, rules = (
        README.split(f"<!-- recipe: {name} -->\n```yaml\n")[1].split("```")[0] for name in ("prometheus", "rules")
    )
    assert "127.0.0.1:9187" in config
    (folder / "prometheus.yml").write_text(settings + config.replace("127.0.0.1:9187", address))
    (folder / "uploads.rules.yml").write_text(rules)
    return folder / "prometheus.yml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian's package prometheus)")
def test_promtool_accepts_the_recipe_of_a_scrape(tmp_path: Path) -> None:
    command = ["promtool", "check", "config", str(write_recipes(tmp_path))]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def prometheus(config: Path) -> Iterator[str]:
    """Run Prometheus and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    log = config.parent / "log"
    options = (f"--config.file={config}", f"--storage.tsdb.path={config.parent / 'data'}")
    with (
        log.open("w") as errors,
        subprocess.Popen(["prometheus", *options, f"--web.listen-address={address}"], stderr=errors) as process,
    ):
        try:
            while "Server is ready" not in log.read_text():
                assert process.poll() is None, log.read_text()
            yield address
        finally:
            process.kill()


@pytest.mark.skipif("PYTEST_PROMETHEUS" not in os.environ, reason="takes some seconds; PYTEST_PROMETHEUS=1 runs it")
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Prometheus (Debian's package prometheus)")
def test_prometheus_scrapes_and_alerts_as_in_the_recipe(tmp_path: Path) -> None:
    """One upload of a source has been stuck since 2020."""
    upload = {"id": "1", "name": "a", "project": "in", "initiated_on": "2020-01-01T00:00:00Z"}
    command = shlex.join([sys.executable, "-c", f"print({json.dumps(upload)!r})"])
    with started(*LISTEN, "--command", command) as process:
        scraped = address_of(process)
        get_until(scraped, "/healthz", 200)
        check(get(scraped, "/metrics")[1])
        often = "global: {scrape_interval: 100ms, scrape_timeout: 100ms, evaluation_interval: 100ms}\n"
        with prometheus(write_recipes(tmp_path, scraped, settings=often)) as address:

            def ask(path: str) -> Any:
                status, text = get(address, f"/api/v1/{path}")
                assert status == 200, text
                return json.loads(text)["data"]

            while not (alerts := ask("alerts")["alerts"]):
                pass
            (target,) = ask("targets")["activeTargets"]
            uploads = ask(f"query?query={quote('upload_tui_uploads > 0')}")["result"]
    assert (target["health"], target["lastError"]) == ("up", "")
    assert [(one["metric"]["project"], one["metric"]["stage"], one["value"][1]) for one in uploads] == [
        ("in", "initiated", "1")
    ]
    assert [(alert["labels"]["alertname"], alert["annotations"]["summary"]) for alert in alerts] == [
        ("UploadsStuck", "1 uploads of in are stuck")
    ]
