"""`streamdehaze doctor`: what is installed, what is missing, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import rich_click as click

from streamdehaze.cli.console import say

if TYPE_CHECKING:
    from streamdehaze.diagnosis import Finding


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(as_json: bool) -> None:
    """Check this installation and print the commands that fix or extend it.

    The most useful comes first. The exit code is 1 only if files cannot be dehazed here.
    """
    import json
    from dataclasses import asdict

    from streamdehaze.diagnosis import advice, diagnose, is_healthy

    findings = diagnose()
    healthy = is_healthy(findings)
    if as_json:
        click.echo(json.dumps({"healthy": healthy, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        marks = {"ok": Text("ok", "green"), "missing": Text("missing", "yellow"), "broken": Text("broken", "bold red")}
        table = Table(title="streamdehaze doctor", show_lines=False)
        for heading in ("", "what", "state", "detail"):
            table.add_column(heading, overflow="fold")
        section = ""
        for finding in findings:
            if section and finding.section != section:
                table.add_section()
            head = finding.section if finding.section != section else ""
            section = finding.section
            table.add_row(Text(head, "bold"), Text(finding.name), marks[finding.state], Text(finding.detail))
        console = Console(highlight=False)
        console.print(table)
        console.print(
            "Files can be dehazed here." if healthy else "Files cannot be dehazed here until what is broken is fixed."
        )
        for title, group in _advice(advice(findings)):
            console.print(f"\n{title}:")
            for finding in group:
                why = f" ({finding.detail.partition(':')[0]})" if finding.state == "missing" else ""
                say(console, f"  {finding.name}{why}\n    {finding.fix}")
    if not healthy:
        raise SystemExit(1)


def _advice(findings: list[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    """What there is to do, in groups: title and findings."""
    titles = {"fix": "To fix", "faster": "Worth installing on this machine", "more": "If you need it"}
    groups: dict[str, list[Finding]] = {key: [] for key in titles}
    for finding in findings:
        groups["fix" if finding.state == "broken" else "faster" if finding.useful else "more"].append(finding)
    yield from ((titles[key], group) for key, group in groups.items() if group)
