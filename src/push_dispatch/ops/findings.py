"""What does an examination come to? One finding for each thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Verdict", "fine", "problem", "unknown", "warning"]


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    #: It works, and somebody should know.
    WARNING = "warning"
    #: Runs do not start, or something would get lost.
    PROBLEM = "problem"
    #: It could not be read: neither well nor ill.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    #: A stable token, such as `stream`: what kind of thing it is.
    check: str
    #: Which one, such as the name of a function; empty where there is only one.
    subject: str
    verdict: Verdict
    message: str
    #: What to do about it; empty if there is nothing to do.
    remedy: str = ""


def fine(check: str, subject: str, message: str) -> Finding:
    return Finding(check, subject, Verdict.OK, message)


def warning(check: str, subject: str, message: str, remedy: str) -> Finding:
    return Finding(check, subject, Verdict.WARNING, message, remedy)


def problem(check: str, subject: str, message: str, remedy: str) -> Finding:
    return Finding(check, subject, Verdict.PROBLEM, message, remedy)


def unknown(check: str, subject: str, message: str, remedy: str = "") -> Finding:
    return Finding(check, subject, Verdict.UNKNOWN, message, remedy)
