"""`upload-tui doctor`: what is wrong, in one run, from the settings to the service to the terminal; each with its mend."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from upload_tui.cli.support.environment import Finding, State, storage_findings, terminal_findings
from upload_tui.cli.support.output import Printer, output_option
from upload_tui.cli.support.service import (
    client_for,
    service_options,
    settings_from,
    settings_paths,
    trusted_certificates,
)
from upload_tui.errors import EXIT_OK, UploadTuiError
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.text import sanitize_line

if TYPE_CHECKING:
    from upload_tui.client import Address, Proxy

__all__ = ["command"]

_MAX_SKEW_SECONDS = 2
_EXPIRY_WARNING = timedelta(days=14)

_Check = Callable[[], Awaitable[Finding]]


@click.command(
    help="Check settings, proxy, name, TLS, credentials, clocks and the terminal; a line each, with the mend."
)
@service_options
@output_option
def command(output: str | None, *, flags: Flags) -> int:
    """Examine; the exit code is that of the first thing that fails, warnings do not count."""
    printer = Printer(output, ())
    findings = asyncio.run(_run_checks(flags, printer))
    return next((finding.exit_code for finding in findings if finding.state is State.FAILED), EXIT_OK)


async def _run_checks(flags: Flags, printer: Printer) -> list[Finding]:
    findings = []
    async for finding in _findings(flags):
        if printer.is_table:
            click.echo("\n".join(_lines(finding)))
        else:
            printer.print_record(finding.record)
        findings.append(finding)
    return findings


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.state:<8} {finding.check:<12} {sanitize_line(finding.message)}"
    if finding.hint:
        yield f"{'':<21} {sanitize_line(finding.hint)}"


async def _findings(flags: Flags) -> AsyncIterator[Finding]:
    """Settings first; then the way to the service, until something on it fails; then what is around us."""
    signs = ""
    try:
        settings = settings_from(flags)
    except UploadTuiError as error:
        yield Finding.failed("settings", error)
        yield Finding("service", State.SKIPPED, "not examined before the settings are right")
    else:
        signs = settings.signs
        for finding in _settings_findings(settings):
            yield finding
        async for finding in _service_findings(settings):
            yield finding
    for finding in (*storage_findings(), *terminal_findings(signs)):
        yield finding


def _settings_findings(settings: ServiceSettings) -> Iterator[Finding]:
    where = f"profile {settings.profile} of {settings_paths().settings_file}" if settings.profile else "no profile"
    yield Finding("settings", State.OK, f"{settings.url} ({where}; `upload-tui config show` tells more)")
    for warning in settings.warnings:
        says, _, mend = warning.partition(". ")
        yield Finding("settings", State.WARNING, says, mend)


async def _service_findings(settings: ServiceSettings) -> AsyncIterator[Finding]:
    steps = _ServiceChecks(settings).checks()
    for check, step in steps:
        try:
            yield await step()
        except UploadTuiError as error:
            yield Finding.failed(check, error)
            break
    for check, _ in steps:  # what the loop has not come to
        yield Finding(check, State.SKIPPED, "not examined before the one above is mended")


class _ServiceChecks(Struct):
    """The steps to a service; each knows what those before it found."""

    settings: ServiceSettings
    proxy: "Proxy | None" = None
    clock_offset_seconds: float | None = None

    def checks(self) -> Iterator[tuple[str, _Check]]:
        """In their order, each once."""
        yield "proxy", self.check_proxy
        yield "name", self.check_name
        yield "port", self.check_port
        yield "tls", self.check_tls
        yield "credentials", self.check_credentials
        yield "clock", self.check_clock

    async def check_proxy(self) -> Finding:
        from upload_tui.client import proxy_for

        self.proxy = proxy_for(self.settings.url)
        said = f"through {self.proxy.address}, by {self.proxy.source}" if self.proxy else "none is used"
        return Finding("proxy", State.OK, said)

    async def check_name(self) -> Finding:
        from upload_tui.client import resolve

        first = self._first_hop()
        numbers = await resolve(first)
        is_number = numbers == (first.host,)
        return Finding("name", State.OK, "none is needed" if is_number else f"{first.host} is {', '.join(numbers)}")

    async def check_port(self) -> Finding:
        from upload_tui.client import connect

        took = await connect(self._first_hop())
        return Finding("port", State.OK, f"{self._first_hop()} opens in {took.total_seconds() * 1000:.0f} ms")

    async def check_tls(self) -> Finding:
        from upload_tui.client import address_of, default_certificates, handshake

        address = address_of(self.settings.url)
        if not address.is_secure:
            return Finding("tls", State.OK, "none is spoken: http://")
        trusted = trusted_certificates(self.settings)
        context = default_certificates() if isinstance(trusted, bool) else trusted
        if self.proxy is not None:
            return Finding("tls", State.OK, "examined by the next step, behind the proxy")
        ends = await handshake(address, context)
        if ends is not None and ends - datetime.now(UTC) < _EXPIRY_WARNING:
            return Finding("tls", State.WARNING, f"the certificate ends on {ends:%Y-%m-%d}", "Have it renewed")
        return Finding("tls", State.OK, f"the certificate can be trusted{f' until {ends:%Y-%m-%d}' if ends else ''}")

    async def check_credentials(self) -> Finding:
        from upload_tui.cli.support.service import find_projects

        async with client_for(self.settings) as client:
            found = await find_projects(client, self.settings.projects)
            self.clock_offset_seconds = client.clock_offset_seconds
        count = "1 project" if len(found) == 1 else f"{len(found)} projects"
        return Finding("credentials", State.OK, f"they let us see {count}")

    async def check_clock(self) -> Finding:
        if self.clock_offset_seconds is None:
            return Finding("clock", State.OK, "the service does not tell its time")
        if abs(self.clock_offset_seconds) <= _MAX_SKEW_SECONDS:
            return Finding("clock", State.OK, f"within {_MAX_SKEW_SECONDS} seconds of the service's")
        word = "behind" if self.clock_offset_seconds > 0 else "ahead of"
        says = f"this machine's clock is {abs(self.clock_offset_seconds):.0f} seconds {word} the service's"
        return Finding("clock", State.WARNING, says, "Let NTP set both; until then the service's times count")

    def _first_hop(self) -> "Address":
        """The machine that we speak to first."""
        from upload_tui.client import address_of

        return self.proxy.address if self.proxy else address_of(self.settings.url)
