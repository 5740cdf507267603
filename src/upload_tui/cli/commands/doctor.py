"""`upload-tui doctor`: checks everything from the settings to the service to the terminal in one run; each problem has a hint."""

import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import replace

from upload_tui.cli.access.service import client_for, find_projects, trusted_certificates
from upload_tui.cli.support.environment import CheckState, Finding, cache_finding, terminal_findings
from upload_tui.cli.support.options import service_options, settings_from, settings_paths
from upload_tui.cli.support.output import Printer, output_option
from upload_tui.cli.support.preferences import dashboard_preferences
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.streams import continues_without_output
from upload_tui.clock import SystemClock
from upload_tui.errors import EXIT_OK, UploadTuiError
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.text import plural, sanitize_line

if TYPE_CHECKING:
    from upload_tui.client import Address, Proxy

__all__ = ["command"]

_MAX_SKEW_SECONDS = 2
_EXPIRY_WARNING = timedelta(days=14)
_LABELS = {"dns": "DNS", "tls": "TLS"}
"""The labels of checks in the table, where they are not the names that scripts get."""

_Check = Callable[[], Awaitable[Finding]]


@click.command(
    help="Check settings, proxy, DNS, TLS, credentials, clock and terminal; show problems and how to fix them. "
    "The output has no secrets and can be pasted into a report."
)
@service_options
@output_option
@continues_without_output
def command(output: str | None, *, flags: Flags) -> int:
    """Run all checks; the exit code is that of the first failure, warnings do not count."""
    printer = Printer(output, (), paths=("check", "state", "message", "hint"))
    findings = run_async(_run_checks(flags, printer))
    return next((finding.exit_code for finding in findings if finding.state is CheckState.FAILED), EXIT_OK)


async def _run_checks(flags: Flags, printer: Printer) -> list[Finding]:
    findings = []
    async for finding in _findings(flags):
        finding = _shareable(finding)  # noqa: PLW2901
        if printer.is_table:
            click.echo("\n".join(_lines(finding)))
        else:
            printer.print_record(finding.record)
        findings.append(finding)
    return findings


def _shareable(finding: Finding) -> Finding:
    """The finding without secrets and without the path of the home folder, so that it can be pasted into a report."""
    from upload_tui.files import home_folder

    home = str(home_folder()).rstrip("/")

    def shared(text: str) -> str:
        text = sanitize_line(text)
        return text.replace(f"{home}/", "~/") if home else text

    return replace(finding, message=shared(finding.message), hint=shared(finding.hint) if finding.hint else "")


def _program_finding() -> Finding:
    """The versions that a report needs."""
    import sqlite3
    from importlib.metadata import version

    from upload_tui import __version__

    parts = f"upload-tui {__version__}", f"Python {platform.python_version()}", f"Textual {version('textual')}"
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Finding("program", CheckState.OK, ", ".join((*parts, f"SQLite {sqlite3.sqlite_version}", system)))


def _lines(finding: Finding) -> Iterator[str]:
    label = _LABELS.get(finding.check, finding.check)
    yield f"{finding.state:<8} {label:<12} {finding.message}"
    if finding.hint:
        yield f"{'':<21} {finding.hint}"


async def _findings(flags: Flags) -> AsyncIterator[Finding]:
    """Name the versions; check the settings; then each step to the service, until one fails; then this machine."""
    yield _program_finding()
    signs = ""
    try:
        settings = settings_from(flags)
    except UploadTuiError as error:
        yield Finding.failed("settings", error)
        yield Finding("service", CheckState.SKIPPED, "skipped until the settings are valid")
    else:
        signs = settings.signs
        for finding in _settings_findings(settings):
            yield finding
        async for finding in _service_findings(settings):
            yield finding
    for finding in (cache_finding(), *terminal_findings(signs)):
        yield finding


def _settings_findings(settings: ServiceSettings) -> Iterator[Finding]:
    source = f"profile {settings.profile} of {settings_paths().settings_file}" if settings.profile else "no profile"
    what = settings.command[0] if settings.command else settings.url  # the arguments may be secrets
    yield Finding("settings", CheckState.OK, f"{what} ({source}; see `upload-tui config show`)")
    try:
        dashboard_preferences(settings)
    except UploadTuiError as error:
        yield Finding.failed("settings", error)
    for warning in settings.warnings:
        message, _, hint = warning.partition(". ")
        yield Finding("settings", CheckState.WARNING, message, hint)


async def _service_findings(settings: ServiceSettings) -> AsyncIterator[Finding]:
    checks = _checks(settings)
    for check, run in checks:
        try:
            yield await run()
        except UploadTuiError as error:
            yield Finding.failed(check, error)
            break
    for check, _ in checks:  # those that have not run
        yield Finding(check, CheckState.SKIPPED, "skipped until the check above passes")


def _checks(settings: ServiceSettings) -> Iterator[tuple[str, _Check]]:
    """The name and the function of each check of the service or the source, in order."""
    if settings.command:
        from upload_tui.cli.access.source_access import source_finding

        return iter([("source", partial(source_finding, settings))])
    return _ServiceChecks(settings).checks()


class _ServiceChecks(Struct):
    """The checks of the connection to a service; later checks use the results of earlier ones."""

    settings: ServiceSettings
    proxy: "Proxy | None" = None
    clock_offset_seconds: float | None = None

    def checks(self) -> Iterator[tuple[str, _Check]]:
        """The name and the function of each check, in order."""
        yield "proxy", self.check_proxy
        yield "dns", self.check_dns
        yield "port", self.check_port
        yield "tls", self.check_tls
        yield "credentials", self.check_credentials
        yield "clock", self.check_clock

    async def check_proxy(self) -> Finding:
        """Find the proxy that the environment names."""
        from upload_tui.client import proxy_for

        self.proxy = proxy_for(self.settings.url)
        message = f"{self.proxy.address} ({self.proxy.source})" if self.proxy else "none"
        return Finding("proxy", CheckState.OK, message)

    async def check_dns(self) -> Finding:
        """Resolve the host name."""
        from upload_tui.client import resolve

        host = self._first_hop()
        addresses = await resolve(host)
        is_address = addresses == (host.host,)
        message = "not needed (IP address)" if is_address else f"{host.host} is {', '.join(addresses)}"
        return Finding("dns", CheckState.OK, message)

    async def check_port(self) -> Finding:
        """Open a connection."""
        from upload_tui.client import connect

        duration = await connect(self._first_hop())
        return Finding(
            "port", CheckState.OK, f"{self._first_hop()}, connected in {duration.total_seconds() * 1000:.0f} ms"
        )

    async def check_tls(self) -> Finding:
        """Validate the certificate and its expiry."""
        from upload_tui.client import address_of, default_certificates, handshake

        address = address_of(self.settings.url)
        if not address.is_secure:
            return Finding("tls", CheckState.OK, "not used (http://)")
        trusted = trusted_certificates(self.settings)
        context = default_certificates() if isinstance(trusted, bool) else trusted
        if self.proxy is not None:
            return Finding("tls", CheckState.OK, "checked with the credentials, behind the proxy")
        expires_on = await handshake(address, context)
        if expires_on is not None and expires_on - SystemClock().now() < _EXPIRY_WARNING:
            return Finding("tls", CheckState.WARNING, f"the certificate expires on {expires_on:%Y-%m-%d}", "Renew it")
        return Finding(
            "tls", CheckState.OK, "valid certificate" + (f", expires {expires_on:%Y-%m-%d}" if expires_on else "")
        )

    async def check_credentials(self) -> Finding:
        """List projects with the credentials."""
        async with client_for(self.settings) as client:
            found, notice = await find_projects(client, self.settings.projects)
            self.clock_offset_seconds = client.clock_offset.used_seconds if client.clock_offset.is_known else None
        message = f"accepted, {plural(len(found), 'project')} visible"
        if notice:
            return Finding(
                "credentials",
                CheckState.WARNING,
                f"{message}; {notice}",
                "The service lists them without an id, or only counts them.",
            )
        return Finding("credentials", CheckState.OK, message)

    async def check_clock(self) -> Finding:
        """Compare this machine's clock with the Date header of a response."""
        if self.clock_offset_seconds is None:
            return Finding("clock", CheckState.OK, "unknown: the service sends no Date header")
        if abs(self.clock_offset_seconds) <= _MAX_SKEW_SECONDS:
            return Finding("clock", CheckState.OK, f"within {_MAX_SKEW_SECONDS}s of the service's clock")
        direction = "behind" if self.clock_offset_seconds > 0 else "ahead of"
        message = f"this machine's clock is {abs(self.clock_offset_seconds):.0f}s {direction} the service's clock"
        return Finding(
            "clock",
            CheckState.WARNING,
            message,
            "Synchronise both with NTP; until then times are judged by the one that fits those of the uploads",
        )

    def _first_hop(self) -> "Address":
        """The address that a connection is opened to: the proxy, or else the service."""
        from upload_tui.client import address_of

        return self.proxy.address if self.proxy else address_of(self.settings.url)
