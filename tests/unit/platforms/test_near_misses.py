"""Is a name, an image or an account number never taken for a cause? One near miss for each row."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from push_dispatch.platforms.docker import refusal as docker
from push_dispatch.platforms.ecs import refusal as ecs, verdict as stopped
from push_dispatch.platforms.kubernetes import refusal as kubernetes, verdict as waiting
from push_dispatch.platforms.refusals import Row

#: For each row that goes by words or a pattern, in the order of its table: HTTP status, text.
NEAR: dict[str, tuple[Sequence[Row], list[tuple[int, str]]]] = {
    "ecs errors": (
        ecs.ERRORS,
        [
            (400, "InvalidParameterException: family overrides-length-must-be-8192 is not valid"),
            (400, "ClientException: Role provisioning-capacity-limit-exceeded is not valid"),
            (400, "ClientException: Role you-can-run-concurrently is not valid"),
            (
                400,
                "ClientException: Role arn:aws:iam::1:role/throttling-rate-exceeded is not valid",
            ),
            (400, "InvalidParameterException: subnet internalerror was not found"),
            (400, "ClientException: capacity provider 'insufficient-capacity' was not found"),
            (400, "ClientException: cluster no-container-instances-were-found is not valid"),
            (400, "ClientException: Role unable-to-assume-the-service-linked-role is not valid"),
            (400, "ClientException: Role unable-to-assume-the-role is not valid"),
            (400, "ClientException: secret ExpiredToken is not valid"),
            (400, "ClientException: Role AccessDenied is not valid"),
            (400, "ClientException: Role ServerException is not valid"),
            (400, "ClientException: Role NoCredentialsError is not valid"),
            (400, "ClientException: Role ParamValidationError is not valid"),
            (400, "ClientException: Role ConnectTimeoutError is not valid"),
        ],
    ),
    "ecs failures": (
        ecs.FAILURES,
        [
            (200, "MISSING you-can-run-concurrently"),
            (200, "MISSING rate exceeded"),
            (200, "AGENT MemberOf constraint unsatisfied."),
            (200, "ATTRIBUTES"),
            (200, "RESOURCE:MISSING"),
            (200, "RESOURCE:above-your-limit"),
        ],
    ),
    "docker": (
        docker.ERRORS,
        [
            (500, "no volume called the-engine-cannot-be-reached"),
            (500, "lookup: the engine did not answer: EOF"),
            (500, "lookup: the engine was not asked: EOF"),
            (500, "listen tcp4 0.0.0.0:80: bind: address already in use"),
            (500, "invalid image no-such-container"),
            (500, "invalid volume no-such-image"),
            (500, "volume mount-source-path: mkdir-permission denied"),
            (500, "image could-not-select-device-driver"),
            (500, "image executable-file-not-found"),
            (500, "image no-space-left-on-device"),
            (500, "the network of the host is unwell"),
        ],
    ),
    "docker pulls": (
        docker.PULL_ERRORS,
        [
            (0, "manifest for acme/toomanyrequest:1 not found"),
            (0, "manifest for acme/no-space-left:1 not found"),
            (0, "manifest for acme/timeout-503-service-unavailable:1 not found"),
            (0, "received unexpected HTTP status: 502 Bad Gateway, docker.io/acme/denied:1"),
            (0, "received unexpected HTTP status: 502 Bad Gateway, docker.io/acme/not-found:1"),
        ],
    ),
    "kubernetes": (
        kubernetes.ERRORS,
        [
            (409, "Conflict the object has been modified: job already exists"),
            (403, 'Forbidden User "exceeded-quota" cannot create resource "jobs"'),
            (403, 'Forbidden User "x" cannot create jobs in the namespace "being-terminated"'),
            (400, "BadRequest the label denied-the-request is unknown"),
        ],
    ),
}


@pytest.mark.parametrize("name", NEAR)
def test_each_row_that_goes_by_words_has_its_near_miss(name: str) -> None:
    table, texts = NEAR[name]
    rows = [row for row in table if row.words or row.pattern]
    assert len(rows) == len(texts)
    for row, (status, text) in zip(rows, texts, strict=True):
        assert not row.matches(status, text), text


#: Reasons of stopped tasks, in the order of their table.
STOPPED = [
    "Scaling activity initiated by OutOfMemory",
    "Task Your Spot Task was interrupted",
    "Essential container Host EC2 (instance i-1) terminated",
    "CannotPullContainerError: acme/timeout-waiting-for-network-interface:1: not found",
    "CannotPullContainerError: acme/capacity-is-unavailable:1: not found",
    "CannotCreateContainerError: mkdir /data/exec: permission denied",
    "CannotPullContainerError: 123456789503.dkr.ecr.us-east-1.amazonaws.com/timeout:429: not found",
    "ResourceInitializationError: CannotPull",
    "ResourceInitializationError: secret throttle-503 was not found",
    "CannotStartContainerError: ResourceInitialization",
    "CannotStartContainerError: image connection-refused-500 is not valid",
    "ResourceInitializationError: CannotStart",
]  # fmt: skip


def test_each_row_of_stopped_tasks_has_its_near_miss() -> None:
    assert len(STOPPED) == len(stopped.ENDS)
    for end, text in zip(stopped.ENDS, STOPPED, strict=True):
        assert not end.matches(text), (end.pattern, text)


#: Warnings, in the order of their table, whose last row takes the rest.
WARNINGS = [
    'MountVolume.SetUp failed for volume "exceeded-quota" : configmap "c" not found',
    'configmap "failed-calling-webhook" not found',
    "Multi-Attach error for volume pvc-not-found: Volume is already attached",
]


def test_each_row_of_warnings_has_its_near_miss() -> None:
    *ends, rest = waiting.EVENTS
    assert rest.pattern == ""
    assert len(ends) == len(WARNINGS)
    for end, text in zip(ends, WARNINGS, strict=True):
        assert not end.matches(text), (end.pattern, text)
