"""`metrics`: what Prometheus and a health check get, of a service and of a source, also while they cannot be read."""

import http.client
import json
import shlex
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.programs import TIMEOUT_SECONDS, run, serving, started
from tests.unit.monitor.test_metrics import samples

pytestmark = pytest.mark.e2e

LISTEN = ("metrics", "--listen", ":0")


def get(address: str, path: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def address_of(process: "subprocess.Popen[str]") -> str:
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
    with started(*LISTEN, "--command", command) as process:
        address = address_of(process)
        get_until(address, "/healthz", 200)
        text = get(address, "/metrics")[1]
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


def test_the_recipe_of_a_scrape_names_the_default_port(tmp_path: Path) -> None:
    """Prometheus itself, where it is installed, accepts the recipe's configuration."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    config = readme.split("<!-- recipe: prometheus -->\n```yaml\n")[1].split("```")[0]
    assert "127.0.0.1:9187" in config
    if promtool := shutil.which("promtool"):
        (tmp_path / "prometheus.yml").write_text(config)
        rules = readme.split("<!-- recipe: rules -->\n```yaml\n")[1].split("```")[0]
        (tmp_path / "uploads.rules.yml").write_text(rules)
        command = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
