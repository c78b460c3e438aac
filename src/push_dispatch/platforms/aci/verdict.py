"""What does Azure's description of a container group, as JSON, say about the attempt?

Sources: https://learn.microsoft.com/azure/container-instances/container-state,
https://learn.microsoft.com/azure/container-instances/container-instances-troubleshooting,
https://learn.microsoft.com/azure/container-instances/container-instances-restart-policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from push_dispatch.core.model import Observation, Status
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.aci.request import START_SECONDS, main_container
from push_dispatch.platforms.base import Watched
from push_dispatch.platforms.ends import BROKEN, KILLED, MESSAGE_LENGTH, End, ended, ends, explained
from push_dispatch.platforms.shared import milliseconds

__all__ = ["Seen", "read"]

#: As Prefect's task_start_timeout_seconds, for a group whose tag was removed.
_START_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Seen:
    """An observation, and whether it holds only once the group has been stopped: it would start
    the process (again) otherwise."""

    observation: Observation
    restless: bool = False


#: What events and detail statuses tell.
ENDS = ends(__name__)
#: Reasons of a process that was killed, and of one that never ran, by its exit code; any other code
#: is the process's own word.
_CAUSES = {code: {Reason.OUT_OF_MEMORY, Reason.SPOT_INTERRUPTION} for code in KILLED} | {
    code: {Reason.COMMAND_NOT_FOUND} for code in (126, 127, 128)
}


def read(group: Mapping[str, Any], watched: Watched, now: float) -> Seen:
    """Return what is known of the attempt, by the container that runs it. `now` in epoch seconds
    says for how long it could not start."""
    seen = Observation(watched.run_id, watched.attempt, Status.STARTING, watched.handle)
    view = _container_view(group)
    current, before = view.get("currentState") or {}, view.get("previousState") or {}
    stopped = _view(group).get("state") == "Stopped"
    if view.get("restartCount") and _has_ended(before):
        # The process was started again, by Azure's own maintenance or in spite of the restart
        # policy (Never is kept for exit code 0 only): its first end counts.
        return Seen(_ended(seen, before, group), restless=not (stopped or _has_ended(current)))
    if stopped:
        return Seen(_stopped(seen, current, group))
    if _has_ended(current):
        return Seen(_ended(seen, current, group))
    if current.get("state") == "Running":
        started = milliseconds(current.get("startTime"))
        return Seen(replace(seen, status=Status.RUNNING, started_at=started))
    return _not_started(seen, group, now)


def _stopped(seen: Observation, state: Mapping[str, Any], group: Mapping[str, Any]) -> Observation:
    """By a person, or by us because it would never have started, which its events still tell."""
    words = _words_of(group)
    end = End(Reason.STOPPED_ON_REQUEST)
    if words and not state.get("startTime"):
        end = explained(ENDS, words) or BROKEN
    at = milliseconds(state.get("finishTime"))
    return _failed(seen, end, words, exit_code=state.get("exitCode"), ended_at=at)


def _ended(seen: Observation, state: Mapping[str, Any], group: Mapping[str, Any]) -> Observation:
    """A process that ran, or could not be executed."""
    code, detail = state.get("exitCode"), state.get("detailStatus") or ""
    words = _words_of(group, detail)
    end = explained(ENDS, words)
    if code is None:
        end = end or BROKEN
    elif end is not None and end.reason not in _CAUSES.get(code, ()):
        end = None  # a trouble on the way, such as an image that came at the second try
    return _failed(
        seen,
        end or End(),
        words if end else detail,
        exit_code=code,
        started_at=milliseconds(state.get("startTime")),
        ended_at=milliseconds(state.get("finishTime")),
    )


def _not_started(seen: Observation, group: Mapping[str, Any], now: float) -> Seen:
    """Waiting, perhaps for ever: a creation that has failed goes on trying all the same."""
    words = _words_of(group)
    end = explained(ENDS, words)
    provisioning = (group.get("properties") or {}).get("provisioningState")
    if "Failed" in {provisioning, _view(group).get("state")}:
        words = words or _words(_events(group))
        end = end or explained(ENDS, words) or BROKEN
        return Seen(_failed(seen, end, words or "the creation failed"), restless=True)
    patience = (group.get("tags") or {}).get(START_SECONDS) or _START_SECONDS
    if words and now - _first_trouble(group, now) > float(patience):
        return Seen(_failed(seen, end or BROKEN, words), restless=True)
    return Seen(replace(seen, message=words[-MESSAGE_LENGTH:] or None))


def _failed(seen: Observation, end: End, words: str, **fields: Any) -> Observation:
    """With the last words: what went wrong at first may have been mended."""
    return ended(seen, end, words[-MESSAGE_LENGTH:], **fields)


# -- parts of the description -----------------------------------------------------------------


def _view(of: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is known at run time; nothing for as long as Azure has no node for the group."""
    view: Mapping[str, Any] = (of.get("properties") or {}).get("instanceView") or {}
    return view


def _container_view(group: Mapping[str, Any]) -> Mapping[str, Any]:
    return _view(main_container(group))


def _has_ended(state: Mapping[str, Any]) -> bool:
    return state.get("state") == "Terminated"


def _words_of(group: Mapping[str, Any], detail: str = "") -> str:
    """Everything that went wrong, in the platform's own words."""
    return _words([event for event in _events(group) if _is_bad(event)], detail)


def _words(events: Iterable[Mapping[str, Any]], detail: str = "") -> str:
    words = [str(event.get("message") or event.get("name") or "") for event in events]
    return " · ".join(dict.fromkeys(word for word in [*words, detail] if word))


def _events(group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*(_view(group).get("events") or []), *(_container_view(group).get("events") or [])]


def _is_bad(event: Mapping[str, Any]) -> bool:
    """Azure calls some bad news normal."""
    words = f"{event.get('name')} {event.get('message')}"
    return event.get("type") == "Warning" or re.search(_TROUBLE, words) is not None


#: How bad news begin: the event's name, or its message.
_TROUBLE = r"^(BackOff|SpotPreemption|Insufficient|Failed|Error)|^\w* (Error:|Failed to )"


def _first_trouble(group: Mapping[str, Any], now: float) -> float:
    times = [
        milliseconds(event.get("firstTimestamp")) for event in _events(group) if _is_bad(event)
    ]
    return min((time / 1000 for time in times if time is not None), default=now)
