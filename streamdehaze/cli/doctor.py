"""`streamdehaze doctor`: what is installed, what is missing, and what to type."""

from __future__ import annotations

import rich_click as click


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print it for a program instead.")
def command(as_json: bool) -> None:
    """Look at this installation and say what is missing and how to get it.

    The exit code is 1 if files cannot be dehazed here, whatever optional things are missing.
    """
    import json

    from streamdehaze.diagnosis import diagnose, is_healthy

    findings = diagnose()
    healthy = is_healthy(findings)
    if as_json:
        click.echo(json.dumps({"healthy": healthy, "findings": [finding.as_dict() for finding in findings]}, indent=2))
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
        for finding in findings:
            if finding.fix:
                console.print(f"{finding.name} is {finding.state}: {finding.fix}", markup=False, soft_wrap=True)
        verdict = (
            "Files can be dehazed here." if healthy else "Files cannot be dehazed here until what is broken is mended."
        )
        console.print(verdict)
    if not healthy:
        raise SystemExit(1)
