# ruff: noqa: E501 - one row a text: a table reads better than its wrapped form
"""What do the platforms' own words, as their users have reported them, make of a push or an end?

Each row has its source, below https://github.com/; what is left out of a text is `…`. `passes` is tried again, `stays` is final, `capacity` gives the slot back or
takes the next fallback, `credentials` is final and about who asks, `exists` is adopted.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest
from botocore.exceptions import ClientError

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected
from push_dispatch.core.model import Observation, Status
from push_dispatch.core.reasons import REASONS
from push_dispatch.platforms.base import Watched
from push_dispatch.platforms.docker.refusal import ERRORS as DOCKER, PULL_ERRORS
from push_dispatch.platforms.ecs.refusal import REFUSALS, failed
from push_dispatch.platforms.ecs.verdict import verdict
from push_dispatch.platforms.kubernetes.refusal import ERRORS as KUBERNETES
from push_dispatch.platforms.kubernetes.request import START_SECONDS
from push_dispatch.platforms.kubernetes.verdict import Stuck, read
from push_dispatch.platforms.refusals import Reaction, Row, judge

#: RunTask's errors: code, message, class, source.
ECS_ERRORS = [
    ("ClientException", "Tasks provisioning capacity limit exceeded.", "passes", "aws/aws-sdk-ruby/issues/3047"),
    ("ClientException", "Tasks provisioning capacity limit exceeded.", "passes", "DIAGNijmegen/rse-grand-challenge/issues/2013"),
    ("InvalidParameterException", "Error retrieving security group information for [sg-05937427457b61ff5]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)", "passes", "dask/dask-cloudprovider/issues/56"),
    ("InvalidParameterException", "Error retrieving security group information for [sg-xxxxxxxx]: An internal error has occurred (ErrorCode: InternalError)", "passes", "reproio/wrapbox/issues/43"),
    ("InvalidParameterException", "Error retrieving subnet information for [subnet-0a]: Rate exceeded (ErrorCode: Throttling)", "passes", "dagster-io/dagster/issues/33439"),
    ("ClientException", "com.amazonaws.services.ec2.model.AmazonEC2Exception: Request limit exceeded.", "passes", "reproio/wrapbox/issues/32"),
    ("InvalidParameterException", "Unable to assume the service linked role. Please verify that the ECS service linked role exists.", "passes", "awslabs/fargatecli/issues/35"),
    ("ClientException", "ECS was unable to assume the role 'arn:aws:iam::111111111111:role/x' that was provided for this task.", "credentials", "pulumi/pulumi-awsx/issues/927"),
    ("AccessDeniedException", "User: arn:aws:iam::120038763019:user/parking-airflow-user is not authorized to perform: iam:PassRole on resource: arn:aws:iam::120038763019:role/dataplatform-stg-ecs-parking because no identity-based policy allows the iam:PassRole action", "credentials", "LBHackney-IT/Data-Platform/pull/1992"),
    ("AccessDeniedException", "User: arn:aws:sts::680928640442:assumed-role/trigger-buildfc45ff03-8a0677d/trigger-buildfc45ff03-ea7b647 is not authorized to perform: ecs:RunTask on resource: arn:aws:ecs:us-west-2:680928640442:task-definition/build-bitstream-aece9bcd:1", "credentials", "pulumi/docs/issues/2860"),
    ("AccessDeniedException", "User: arn:aws:sts::123456789:assumed-role/r/f is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789:role/ecsTaskExecutionRole because no identity-based policy allows the iam:PassRole action", "credentials", "aws/serverless-application-model/issues/2247"),
    ("AccessDeniedException", "User: arn:aws:iam::120038763019:user/child-fam-services-airflow-user is not authorized to perform: ecs:RunTask on resource: arn:aws:ecs:eu-west-2:120038763019:task-definition/a_test_task:9 because no identity-based policy allows the ecs:RunTask action", "credentials", "LBHackney-IT/Data-Platform/pull/1818"),
    ("ClientException", "Role is not valid", "stays", "fabfuel/ecs-deploy/issues/231"),
    ("ClusterNotFoundException", "Cluster not found.", "stays", "PrefectHQ/prefect/issues/19320"),
    ("InvalidParameterException", "Assign public IP is not supported for this launch type.", "stays", "PrefectHQ/prefect/issues/19320"),
    ("InvalidParameterException", "Some tags contain invalid characters. Valid characters: UTF-8 letters, spaces, numbers and _ . / = + - : @", "stays", "PrefectHQ/prefect/issues/13174"),
    ("InvalidParameterException", "Override for container named django is not a container in the TaskDefinition.", "stays", "azavea/django-ecsmanage/issues/21"),
    ("InvalidParameterException", "Override argument cannot be null", "stays", "jenkinsci/amazon-ecs-plugin/issues/319"),
    ("InvalidParameterException", "No Container Instances were found in your cluster.", "capacity", "boto/boto3/issues/2862"),
    ("InvalidParameterException", "No Container Instances were found in your cluster.", "capacity", "PrefectHQ/prefect-aws/issues/301"),
    ("InvalidParameterException", "No Container Instances were found in your cluster.", "capacity", "linz/geostore/issues/1687"),
]  # fmt: skip

#: RunTask's failures at HTTP 200: reason, class, source.
ECS_FAILURES = [
    ("RESOURCE:MEMORY", "capacity", "PrefectHQ/prefect/issues/20765"),
    ("RESOURCE:CPU", "capacity", "dagster-io/dagster/issues/24691"),
    ("AGENT", "capacity", "dagster-io/dagster/issues/24691"),
    ("Capacity is unavailable at this time. Please try again later or in a different availability zone", "capacity", "apache/airflow/issues/48001"),
    ("You\u2019ve reached the limit on the number of vCPUs you can run concurrently", "passes", "PrefectHQ/prefect-aws/issues/282"),
]  # fmt: skip

#: Stopped tasks that never ran: the task's reason, class, source.
ECS_STOPS = [
    ("CannotStartContainerError: Error response from daemon: failed to initialize logging driver: … ThrottlingException: Rate exceeded", "passes", "moby/moby/issues/42088"),
    ("CannotStartContainerError: failed to create task for container: failed to initialize logging driver: … ThrottlingException: Rate exceeded", "passes", "docker/for-linux/issues/1508"),
    ("CannotPullECRContainerError: ThrottlingException: Rate exceeded status code: 400", "passes", "convox/rack/issues/1164"),
    ("Unable to attach network interface to unused device index.", "passes", "aws/containers-roadmap/issues/1545"),
    ("Timeout waiting for network interface provisioning to complete.", "passes", "apache/airflow/issues/22002"),
    ("Timeout waiting for EphemeralStorage provisioning to complete.", "passes", "dagster-io/dagster/issues/17234"),
    ("CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref 12345678-eu-west-1.amazonaws.com/example-service:example-image:image-tag@sha256:sha digest: not found", "stays", "aws/containers-roadmap/issues/2687"),
    ("CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref .dkr.ecr.us-west-2.amazonaws.com/otel-collector:latest@sha256:863: unexpected status from HEAD request to https://.dkr.ecr.us-west-2.amazonaws.com/v2/otel-collector/blobs/sha256:863: 403 Forbidden", "stays", "aws/containers-roadmap/issues/2493"),
    ('CannotPullContainerError: inspect image has been retried 1 time(s): failed to resolve ref "xxxxx.xxx": unexpected status code [manifests 6981141]: 403 Forbidden', "stays", "aws/aws-cdk/issues/14457"),
    ('CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref quay.io/deepfenceio/cloud-scanner:latest: failed to do request: Head "https://quay.io/v2/deepfenceio/cloud-scanner/manifests/latest": dial tcp 3.210.148.47:443: i/o timeout', "passes", "deepfence/terraform-aws-cloud-scanner/issues/13"),
    ("CannotPullContainerError: Error response from daemon: Get https://x/v2/: net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)", "passes", "globaldothealth/list/issues/2662"),
    ('ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried 3 time(s): RequestError: send request failed caused by: Post "https://api.ecr.us-east-2.amazonaws.com/": dial tcp 1.2.3.4:443: i/o timeout. Please check your task network configuration.', "passes", "doctorray117/minecraft-ondemand/issues/74"),
    ("ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secrets from ssm: service call has been retried 5 time(s): RequestCanceled: request context canceled caused by: context deadline exceeded", "passes", "umotif-public/terraform-aws-ecs-fargate/issues/50"),
    ("ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): invalid character '\\'' looking for beginning of value", "stays", "rileydakota/valheim-ecs-fargate-cdk/issues/9"),
    ("ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret arn:aws:secretsmanager:eu-west-1:123456789", "stays", "docker-archive/compose-cli/issues/1510"),
    ("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: mounting fs-0.efs.us-east-1.amazonaws.com:/data failed, reason given by server: No such file or directory : unsuccessful EFS utils command execution; code: 32", "stays", "acp-io/terraform-grafana/issues/4"),
    ("ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: … connection reset by peer", "passes", "docker-archive/compose-cli/issues/1490"),
    ('CannotStartContainerError: API error (500): Cannot start container 54b6caa1f3d8: [8] System error: exec: "node index.js -t sockets_transport -i 0": executable file not found in $PATH', "stays", "aws/amazon-ecs-cli/issues/78"),
    ('CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: OCI runtime create failed: container_linux.go:370: starting container process caused: exec: "/opt/sonarqube/bin/run.sh": stat /opt/sonarqube/bin/run.sh: no such file or directory', "stays", "aws/amazon-ecs-agent/issues/2954"),
    ('CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: failed to create shim: OCI runtime create failed: container_linux.go:380: starting container process caused: exec: "-url": executable file not found in $PATH', "stays", "jenkinsci/amazon-ecs-plugin/issues/258"),
    ("Your Spot Task was interrupted.", "passes", "reproio/wrapbox/issues/53"),
    ("OutOfMemoryError: Container killed due to memory usage", "passes", "dagster-io/dagster/issues/17448"),
]  # fmt: skip

#: The API server's answers to a Job: HTTP status, reason and message, class, source.
KUBERNETES_ERRORS = [
    (403, 'Forbidden jobs.batch is forbidden: User "system:serviceaccount:helm-test:w" cannot create resource "jobs" in API group "batch"', "credentials", "PrefectHQ/prefect-kubernetes/issues/71"),
    (403, 'Forbidden jobs.batch is forbidden: User "system:serviceaccount:locust-operator:locust-operator-locust-k8s-operator" cannot create resource "jobs" in API group "batch" in the namespace "default".', "credentials", "AbdelrhmanHamouda/locust-k8s-operator/issues/31"),
    (403, 'Forbidden jobs.batch is forbidden: User "system:serviceaccount:default:default" cannot create jobs.batch in the namespace "default"', "credentials", "kubernetes/community/issues/2556"),
    (500, 'InternalError Internal error occurred: failed calling webhook "validate.kyverno.svc-fail": Post "https://kyver…', "passes", "kyverno/kyverno/issues/2869"),
    (500, 'InternalError Internal error occurred: failed calling webhook "mjobset.kb.io": failed to call webhook: Post …', "passes", "kubernetes-sigs/jobset/issues/891"),
    (500, "InternalError Internal error occurred: resource quota evaluates timeout", "passes", "kubernetes/kubernetes/issues/67531"),
    (404, 'NotFound namespaces "prefect-worker" not found', "stays", "PrefectHQ/prefect/issues/13887"),
    (409, 'Conflict Operation cannot be fulfilled on resourcequotas "q": the object has been modified; please apply your changes to the latest version and try again', "passes", "kubernetes/kubernetes/issues/67761"),
]  # fmt: skip

#: Warnings about a Job or its pod that does not start: message, class, source.
KUBERNETES_EVENTS = [
    ('Error creating: pods "fluffy-" is forbidden: error looking up service account default/idontexist: serviceaccount "idontexist" not found', "stays", "kubernetes/kubernetes/issues/100726"),
    ('Error creating: pods "kinetic-job-5cee2b49-" is forbidden: error looking up service account default/kinetic: serviceaccount "kinetic" not found', "stays", "keras-team/kinetic/issues/286"),
    ('Error creating: pods "hap-operator-kubernetes-ingress-crdjob-1-6nxxb" is forbidden: failed quota: ingress-stack: must specify limits.cpu for: crd; limits.memory for: crd', "stays", "haproxytech/helm-charts/issues/236"),
    ('Error creating: pods "timescaledb-patroni-0u-kf7t9" is forbidden: failed quota: anais-quota: must specify limits.cpu,limits.memory', "stays", "timescale/helm-charts/issues/259"),
    ('Error creating: pods "job-test-4-9zfnl" is forbidden: exceeded quota: default, requested: pods=1, used: pods=9, limited: pods=9', "capacity", "kubernetes/kubernetes/issues/88718"),
    ('failed to call webhook: Post "https://tekton-kueue-webhook-service.tekton-kueue.svc:443/mutate-tekton-dev-v1-pipelinerun?timeout=10s": context deadline exceeded', "passes", "tektoncd/tekton-kueue/issues/539"),
    ('MountVolume.SetUp failed for volume "config" : configmap "kube-apiserver" not found', "stays", "kubernetes/kubernetes/issues/90725"),
    ('MountVolume.SetUp failed for volume "static-nodes" : configmap "besu-peers" not found', "stays", "Consensys-Incorporated/quorum-kubernetes/issues/240"),
    ('MountVolume.SetUp failed for volume "config-volume" : configmap "grafana-import-dashboards" not found', "stays", "cuishuaigit/k8s-monitor/issues/2"),
    ('Unable to mount volumes for pod "searchlight-init-mdavi_openstack-system(0731e1f9)": configmaps "searchlight-init" not found', "stays", "stackanetes/stackanetes/issues/48"),
    ('Unable to mount volumes for pod "some-api-2275263275-01pq7_default(afc5ae68)": timeout expired waiting for volumes to attach/mount for pod "some-api-2275263275-01pq7"/"default".', "passes", "kubernetes/kubernetes/issues/30177"),
    ("Unable to attach or mount volumes: unmounted volumes=[service-common service-render], unattached volumes=[workspace]: timed out waiting for the condition", "passes", "dromara/CloudEon/issues/177"),
]  # fmt: skip

#: The engine's answers: HTTP status, message, class, source.
DOCKER_ERRORS = [
    (500, "driver failed programming external connectivity on endpoint gpustack-worker-1 (237): Error starting userland proxy: listen tcp4 0.0.0.0:10150: bind: address already in use", "capacity", "gpustack/gpustack/issues/1855"),
    (500, 'could not select device driver "nvidia" with capabilities: [[gpu] [nvidia] [compute] [compat32] [graphics] …', "stays", "tensorchord/envd/issues/187"),
    (404, "No such image: rabbitmq:latest", "stays", "docker/docker-py/issues/512"),
    (404, "network foo not found", "stays", "microsoft/vscode-docker/issues/1289"),
    (500, "failed to create task for container: failed to initialize logging driver: failed to create Cloudwatch log stream: ThrottlingException: Rate exceeded", "passes", "docker/for-linux/issues/1508"),
    (500, "failed to create endpoint x on network docker_gwbridge: adding interface vethaa5c11e to bridge docker_gwbridge … exchange full", "capacity", "moby/moby/issues/31100"),
    (400, 'failed to create shim: OCI runtime create failed: runc create failed: unable to start container process: exec: "ls": executable file not found in $PATH: unknown', "stays", "apocas/dockerode/issues/654"),
    (400, 'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/entrypoint.sh": permission denied: unknown', "stays", "aminvakil/docker-ocserv/issues/52"),
    (400, "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec /bin/entrypoint.sh: permission denied: unknown", "stays", "appleboy/scp-action/issues/164"),
    (400, 'OCI runtime create failed: container_linux.go:370: starting container process caused: exec: "./run.sh": permission denied: unknown', "stays", "microsoft/OCR-Form-Tools/issues/933"),
]  # fmt: skip

#: What a pull ends with: message, class, source.
DOCKER_PULLS = [
    ("received unexpected HTTP status: 503 Service Unavailable", "passes", "docker/cli/issues/2141"),
    ("Get https://registry-1.docker.io/v2/library/nginx/manifests/latest: received unexpected HTTP status: 503 Service Unavailable", "passes", "docker/cli/issues/1143"),
    ("received unexpected HTTP status: 500 Internal Server Error", "passes", "conda-forge/status/issues/102"),
    ("error pulling image configuration: received unexpected HTTP status: 530", "passes", "thx/rap2-delos/issues/632"),
    ("Get https://registry-1.docker.io/v2/: EOF", "passes", "docker/hub-feedback/issues/2082"),
    ('Get "https://registry-1.docker.io/v2/": unexpected EOF', "passes", "docker/for-mac/issues/6704"),
    ("Get https://registry-1.docker.io/v2/: unexpected EOF", "passes", "distribution/distribution/issues/2972"),
    ('failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://production.cloudflare.docker.com/…": EOF', "passes", "nextcloud/docker/issues/2409"),
    ("no matching manifest for linux/arm64/v8 in the manifest list entries: no match for platform in manifest: not found", "stays", "link-assistant/hive-mind/issues/962"),
    ("no matching manifest for linux/amd64 in the manifest list entries", "stays", "moby/moby/issues/39600"),
    ("manifest unknown: manifest unknown", "stays", "portainer/portainer/issues/628"),
    ("denied: requested access to the resource is denied", "stays", "tusc/ntopng-udm/issues/1"),
    ("unauthorized: access to the requested resource is not authorized", "stays", "tusc/ntopng-udm/issues/1"),
]  # fmt: skip

_CREDENTIALS = {"access_denied", "credentials_missing"}


def _of_error(error: PlatformError) -> str:
    if isinstance(error, NoCapacity):
        return "capacity"
    if isinstance(error, Rejected):
        return "credentials" if error.reason in _CREDENTIALS else "stays"
    return "passes"


def _of_row(row: Row) -> str:
    if row.reaction is Reaction.EXISTS:
        return "exists"
    return _of_error(row.error("x"))


def _of_end(reason: str | None, *, retryable: bool) -> str:
    assert reason is None or reason in REASONS
    if reason == "no_capacity":
        return "capacity"
    return "passes" if retryable else "stays"


@pytest.mark.parametrize(("code", "message", "expected", "source"), ECS_ERRORS)
def test_ecs_refuses(code: str, message: str, expected: str, source: str) -> None:
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    assert _of_error(REFUSALS.error(ClientError(response, "RunTask"))) == expected, source  # type: ignore[arg-type]


@pytest.mark.parametrize(("reason", "expected", "source"), ECS_FAILURES)
def test_ecs_has_no_task(reason: str, expected: str, source: str) -> None:
    assert _of_error(failed({"reason": reason})) == expected, source


@pytest.mark.parametrize(("reason", "expected", "source"), ECS_STOPS)
def test_an_ecs_task_never_runs(reason: str, expected: str, source: str) -> None:
    task = {"stopCode": "TaskFailedToStart", "stoppedReason": reason, "containers": [{"name": "x"}]}
    text = verdict(task, "x")
    assert _of_end(text.reason, retryable=text.retryable) == expected, source


@pytest.mark.parametrize(("status", "message", "expected", "source"), KUBERNETES_ERRORS)
def test_kubernetes_refuses(status: int, message: str, expected: str, source: str) -> None:
    assert _of_row(judge(KUBERNETES, status, message)) == expected, source


@pytest.mark.parametrize(("message", "expected", "source"), KUBERNETES_EVENTS)
def test_a_pod_does_not_start(message: str, expected: str, source: str) -> None:
    job = {
        "metadata": {
            "name": "pd-1",
            "creationTimestamp": "2026-11-26T10:00:00Z",
            "annotations": {START_SECONDS: "0"},
        }
    }
    event = {"type": "Warning", "message": message}
    stuck = read(Watched("c/n/pd-1", "p.u", 1), job, [], 2e9, [event])
    assert isinstance(stuck, Stuck)
    seen: Observation = stuck.observation
    assert (seen.status, seen.message) == (Status.ENDED, message)
    assert _of_end(seen.reason, retryable=seen.retryable) == expected, source


@pytest.mark.parametrize(("status", "message", "expected", "source"), DOCKER_ERRORS)
def test_an_engine_refuses(status: int, message: str, expected: str, source: str) -> None:
    assert _of_row(judge(DOCKER, status, message)) == expected, source


@pytest.mark.parametrize(("message", "expected", "source"), DOCKER_PULLS)
def test_a_pull_fails(message: str, expected: str, source: str) -> None:
    assert _of_row(judge(PULL_ERRORS, 0, message)) == expected, source


def test_there_are_many_and_each_has_its_source() -> None:
    tables = (
        ECS_ERRORS,
        ECS_FAILURES,
        ECS_STOPS,
        KUBERNETES_ERRORS,
        KUBERNETES_EVENTS,
        DOCKER_ERRORS,
        DOCKER_PULLS,
    )
    rows = [row for table in tables for row in table]
    assert len(rows) >= 75
    link = re.compile(r"[\w.-]+/[\w.-]+/(issues|pull)/\d+")
    assert all(link.fullmatch(str(row[-1])) for row in rows)
    classes = Counter(row[-2] for row in rows)
    assert set(classes) == {"passes", "stays", "capacity", "credentials"}
