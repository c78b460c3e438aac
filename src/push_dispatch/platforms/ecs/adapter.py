"""How are attempts started, watched and stopped on Amazon ECS?

ECS has the best idempotency of all platforms, with an expiry date: RunTask with a request token
that it has seen returns the same task, for the shorter of 24 hours and the task's lifetime plus one
hour. So a push that is in doubt is simply sent again while that holds for certain. That settles
more than any look-up by name could: ECS's lists are eventually consistent, and an empty one proves
nothing. (Sources: the developer guide's "Ensuring idempotency", RunTask's reference.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from push_dispatch.core.errors import PlatformError, Uncertain
from push_dispatch.core.model import Observation
from push_dispatch.platforms.aws import code_of
from push_dispatch.platforms.base import Capabilities, Job, Watched
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.ecs.catalogue import Catalogue
from push_dispatch.platforms.ecs.clients import Clients
from push_dispatch.platforms.ecs.cost import estimate
from push_dispatch.platforms.ecs.handle import Handle, run_of, started_by
from push_dispatch.platforms.ecs.refusal import REFUSALS, failed, translated
from push_dispatch.platforms.ecs.request import Plan, parameters, plan_for, region_of
from push_dispatch.platforms.ecs.verdict import observation
from push_dispatch.platforms.refusals import permissions
from push_dispatch.platforms.shared import (
    asking,
    building,
    lost,
    no_credentials,
    observe_groups,
    place_in,
    unknown,
)

__all__ = ["Ecs"]

#: How long after the first push that may have started it an attempt may be sent again: a task that
#: failed at once loses the protection of its token an hour after it was created.
TOKEN_SECONDS = 50 * 60
#: DescribeTasks takes at most so many tasks, and ListTasks returns so many.
_BATCH = 100
#: Pages of stopped tasks that are looked through for one attempt.
_PAGES = 20


class Ecs:
    """Amazon ECS: Fargate, Fargate Spot, EC2 and capacity providers.

    Reads from `environ` what the AWS CLI reads: `AWS_REGION`, credentials, `AWS_PROFILE`,
    `AWS_ENDPOINT_URL_ECS`, `AWS_ENDPOINT_URL_CLOUDWATCH_LOGS`, `AWS_ENDPOINT_URL_EC2`,
    `AWS_ENDPOINT_URL_STS`.
    """

    name: ClassVar[str] = "ecs"
    capabilities: ClassVar[Capabilities] = BUILT_IN[name]
    #: What its function's role must allow.
    iam_actions: ClassVar[tuple[str, ...]] = permissions(name)

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        definitions: MutableMapping[str, str] | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        read_seconds: float = 8,
    ) -> None:
        """`definitions` remembers task definitions beyond this process, if it can do that."""
        self._clients = Clients(environ, read_seconds)
        self._catalogue = Catalogue(self._clients, {} if definitions is None else definitions)
        self._clock = clock

    # -- push ------------------------------------------------------------------------------------

    def push(self, job: Job) -> str:
        """See `Platform.push`. Once the token's window is closed: the task if it is found, else
        Uncertain."""
        with building():
            plan = plan_for(job, self._clients.region)
        if self._clock() - job.claimed_at > TOKEN_SECONDS * 1000:
            return self._found(job, plan)
        with translated():
            return self._run(job, plan)

    def _run(self, job: Job, plan: Plan, *, again: bool = True) -> str:
        plan = self._catalogue.on_definition(plan, job.configuration)
        with building():
            # Also before a definition is registered: a request that is none leaves nothing behind.
            parameters(job, plan, "", plan.container, None)
        definition = self._catalogue.definition(plan)
        subnets = self._catalogue.subnets(plan)
        request = parameters(job, plan, definition, plan.container, subnets)
        try:
            answer = self._clients.get("ecs", plan.region, plan.role).run_task(**request)
        except ClientError as error:
            if code_of(error) == "ConflictException":
                return self._adopted(error, definition, plan)
            if again and _is_inactive(error) and self._catalogue.forget(plan):
                # Somebody deregistered it. Nothing was started, so the token is still unused.
                return self._run(job, plan, again=False)
            raise
        if answer["tasks"]:
            return str(Handle.of(answer["tasks"][0], definition, plan.container, plan.role))
        if answer["failures"]:
            raise failed(answer["failures"][0])
        raise Uncertain("no task, no failure")

    @staticmethod
    def _adopted(error: ClientError, definition: str, plan: Plan) -> str:
        """The token was used with another request, for the tasks that the error names. The request
        changed on our side: a new revision, another subnet."""
        tasks: list[str] = dict(error.response).get("resourceIds") or []  # type: ignore[assignment]
        if not tasks:
            raise Uncertain(str(error)) from error
        return str(Handle.of({"taskArn": tasks[0]}, definition, plan.container, plan.role))

    def _found(self, job: Job, plan: Plan) -> str:
        """The task of an attempt whose token may have been forgotten."""
        family = plan.family or (plan.definition_arn or "").rpartition("/")[2].partition(":")[0]
        with asking(), translated():
            for tasks in self._candidates(job, plan, family):
                ours = [task for task in tasks if task.get("startedBy") == started_by(job)]
                if ours:
                    return str(Handle.of(ours[0], role=plan.role))
        raise Uncertain(
            f"{job.name} was sent over {TOKEN_SECONDS // 60} minutes ago, and not found"
        )

    def _candidates(self, job: Job, plan: Plan, family: str) -> Iterator[list[dict[str, Any]]]:
        """Tasks that are to run can be listed by what started them (and then by nothing else);
        stopped ones only by their family."""
        ecs = self._clients.get("ecs", plan.region, plan.role)
        ask: dict[str, Any] = {"startedBy": started_by(job)}
        for page in range(1 + _PAGES):
            listed = ecs.list_tasks(cluster=plan.cluster, maxResults=_BATCH, **ask)
            if listed["taskArns"]:
                described = ecs.describe_tasks(cluster=plan.cluster, tasks=listed["taskArns"])
                yield described["tasks"]
            if page and not listed.get("nextToken"):
                return
            ask = {"family": family, "desiredStatus": "STOPPED"}
            if page:
                ask["nextToken"] = listed["nextToken"]

    # -- observe, cancel -------------------------------------------------------------------------

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        """See `Platform.observe`. Ask only about attempts that are some seconds old: ECS may not
        know a task yet that it has just started."""
        return observe_groups(
            jobs, Handle.parse, lambda h: (h.role_arn, h.region, h.cluster), self._describe, _BATCH
        )

    def _describe(self, group: Sequence[tuple[Watched, Handle]]) -> list[Observation]:
        """Attempts of one cluster."""
        where = group[0][1]
        arns = list({handle.task for _, handle in group})
        try:
            with translated():
                ecs = self._clients.get("ecs", where.region, where.role_arn)
                answer = ecs.describe_tasks(cluster=where.cluster, tasks=arns)
        except PlatformError as error:
            if code_of(error.__cause__) != "ClusterNotFoundException":
                raise
            return [lost(job, error.message) for job, _ in group]
        tasks = {task["taskArn"]: task for task in answer["tasks"]}
        missing = {f.get("arn") for f in answer["failures"] if f.get("reason") == "MISSING"}
        return [
            observation(tasks[handle.task], job.run_id, job.attempt, handle.on(tasks[handle.task]))
            if handle.task in tasks
            else (lost if handle.task in missing else unknown)(job)
            for job, handle in group
        ]

    def cancel(self, handle: str) -> None:
        """See `Platform.cancel`. The process gets SIGTERM and, 30 seconds later, SIGKILL."""
        if (task := place_in(Handle.parse, handle)) is None:
            return
        ecs = self._clients.get("ecs", task.region, task.role_arn)
        try:
            ecs.stop_task(cluster=task.cluster, task=task.task, reason="push-dispatch: cancelled")
        except (ClientError, BotoCoreError) as error:
            # These two mean that it is gone.
            if code_of(error) not in {"InvalidParameterException", "ClusterNotFoundException"}:
                raise REFUSALS.uncertain(error) from error

    # -- optional capabilities -------------------------------------------------------------------

    def sign_in(self) -> str:
        """See `SignsIn`. Lists tasks of the cluster `default`, which need not exist."""
        self._has_cluster("default")
        return f"signed in to Amazon ECS in {self._clients.region}"

    def _has_cluster(self, cluster: str) -> bool:
        region = region_of(cluster) or self._clients.region
        if not region:
            raise no_credentials("no region: set AWS_REGION")
        with translated(harmless=True):
            try:
                self._clients.get("ecs", region).list_tasks(cluster=cluster, maxResults=1)
            except ClientError as error:
                if code_of(error) != "ClusterNotFoundException":
                    raise
                return False
        return True

    def parse(self, event: Mapping[str, Any]) -> Observation | None:
        """See `ReportsEvents.parse`: an EventBridge event 'ECS Task State Change'. Several come per
        task, in any order and twice; `version` orders them."""
        if event.get("source") != "aws.ecs" or "Task State Change" not in event.get(
            "detail-type", ""
        ):
            return None
        task = event.get("detail") or {}
        run = run_of(task.get("startedBy") or "")
        return observation(task, *run, Handle.of(task)) if run else None

    def logs(self, handle: str) -> Iterator[str]:
        """See `ReadsLogs.logs`: what the `awslogs` driver has delivered. Any PlatformError. Takes
        `ecs:DescribeTaskDefinition` and `logs:GetLogEvents`."""
        if (task := place_in(Handle.parse, handle)) is None:
            return
        with translated():
            yield from self._read(task)

    def _read(self, task: Handle) -> Iterator[str]:
        options = self._log_options(task)
        if not options.get("awslogs-group") or not options.get("awslogs-stream-prefix"):
            return
        logs = self._clients.get("logs", options.get("awslogs-region", task.region), task.role_arn)
        where = {
            "logGroupName": options["awslogs-group"],
            "logStreamName": f"{options['awslogs-stream-prefix']}/{task.container}/{task.task_id}",
        }
        token: dict[str, str] = {}
        try:
            while True:
                page = logs.get_log_events(**where, startFromHead=True, **token)
                yield from (event["message"].rstrip("\r\n") for event in page["events"])
                if token.get("nextToken") == page["nextForwardToken"]:
                    return  # the same token again marks the end
                token = {"nextToken": page["nextForwardToken"]}
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise

    def _log_options(self, task: Handle) -> Mapping[str, str]:
        if not task.definition:
            return {}
        try:
            definition = self._catalogue.describe(task.region, task.definition, task.role_arn)
        except ClientError as error:
            if code_of(error) == "ClientException":
                return {}
            raise
        for container in definition["containerDefinitions"]:
            if container["name"] == task.container:
                options: Mapping[str, str] = container.get("logConfiguration", {}).get(
                    "options", {}
                )
                return options
        return {}

    #: See `EstimatesCost.estimate_cost`.
    estimate_cost = staticmethod(estimate)


def _is_inactive(error: ClientError) -> bool:
    text = str(error)
    return "TaskDefinition is inactive" in text or "TaskDefinition not found" in text
