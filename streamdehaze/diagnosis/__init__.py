"""What this installation has, what it lacks, and the command that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from streamdehaze.diagnosis.finding import Finding, FindingState, one_line
from streamdehaze.diagnosis.machine import encoders, folders, processors, python
from streamdehaze.diagnosis.packages import packages
from streamdehaze.diagnosis.trial import checkpoints, dehazing

__all__ = ["Finding", "FindingState", "advice", "diagnose", "is_healthy"]

_SECTIONS: tuple[Callable[[], Iterable[Finding]], ...] = (
    python, packages, encoders, processors, checkpoints, folders, dehazing,
)  # fmt: skip


def diagnose() -> list[Finding]:
    """Look at everything; takes some seconds, changes nothing, raises nothing."""
    findings: list[Finding] = []
    for section in _SECTIONS:
        try:
            findings.extend(section())
        except Exception as error:  # a half-installed package can raise anything, and the other sections still help
            name = section.__name__
            findings.append(Finding(name, name, "broken", one_line(error), core=True))
    return findings


def is_healthy(findings: list[Finding]) -> bool:
    """Whether files can be dehazed here, whatever optional things are missing."""
    return not any(finding.core and finding.state != "ok" for finding in findings)


def advice(findings: list[Finding]) -> list[Finding]:
    """What can be done: first what nothing works without, then what is broken, then what this machine gains by."""

    def rank(finding: Finding) -> tuple[bool, bool, bool]:
        return not (finding.core and finding.state == "broken"), finding.state != "broken", not finding.useful

    return sorted((finding for finding in findings if finding.fix), key=rank)
