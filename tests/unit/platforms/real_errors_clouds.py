# ruff: noqa: E501 - one row a report: a table reads better than its wrapped form
"""What users of Google Cloud, Azure, Modal and Coiled were told, word for word but for names, and
where they reported it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ENDS", "REFUSALS", "End", "Refusal"]


class Refusal(NamedTuple):
    """A request that was refused."""

    platform: str
    #: HTTP status; of gRPC codes the one that belongs to it.
    status: int
    text: str
    #: `passes` (sent again), `capacity` (another platform, or later), `stays` or `credentials`.
    kind: str
    source: str


class End(NamedTuple):
    """What is said of an attempt that was accepted."""

    platform: str
    #: The code in the answer, where there is one beside the text.
    code: int
    text: str
    #: As above, or `exit N`.
    kind: str
    source: str


REFUSALS: tuple[Refusal, ...] = (
    # -- Cloud Run ----------------------------------------------------------------------------
    Refusal("cloud-run", 429, "RESOURCE_EXHAUSTED: Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per region' of service 'run.googleapis.com'", "passes", "https://github.com/googleapis/repo-automation-bots/issues/4469"),
    Refusal("cloud-run", 403, "PERMISSION_DENIED: Permission 'artifactregistry.repositories.downloadArtifacts' denied on resource '//artifactregistry.googleapis.com/projects/p/locations/us-central1/repositories/r' (or it may not exist).", "stays", "https://github.com/googleapis/python-run/issues/54"),
    Refusal("cloud-run", 403, 'PERMISSION_DENIED: Permission "artifactregistry.repositories.downloadArtifacts" denied on resource "projects/p/locations/us/repositories/r" (or it may not exist)', "stays", "https://github.com/GoogleContainerTools/skaffold/issues/6743"),
    Refusal("cloud-run", 403, "PERMISSION_DENIED: Permission 'artifactregistry.repositories.get' denied on resource '//artifactregistry.googleapis.com/projects/api-project-222898232626/locations/us-central1/repositories/cloud-run-source-deploy' (or it may not exist).", "stays", "https://github.com/google-github-actions/deploy-cloudrun/issues/370"),
    Refusal("cloud-run", 403, "PERMISSION_DENIED: Permission 'artifactregistry.repositories.get' denied on resource '...' (or it may not exist).", "stays", "https://github.com/google-github-actions/deploy-cloudrun/issues/487"),
    Refusal("cloud-run", 403, "Unable to retrieve the repository metadata for projects/server-side-tracking-415514/locations/europe-west3/repositories/gcf-artifacts. Ensure that the Cloud Functions service account has 'artifactregistry.repositories.list' and 'artifactregistry.repositories.get' permissions.", "stays", "https://github.com/Liscor/terraform_cloud_run_sgtm/issues/3"),
    Refusal("cloud-run", 403, "PERMISSION_DENIED: Permission 'run.services.get' denied on resource 'namespaces/x/services/y' (or resource may not exist).", "credentials", "https://github.com/google-github-actions/deploy-cloudrun/issues/182"),
    Refusal("cloud-run", 403, "PERMISSION_DENIED: Permission 'run.services.get' denied on resource", "credentials", "https://github.com/google-github-actions/deploy-cloudrun/issues/427"),
    Refusal("cloud-run", 403, "PERMISSION_DENIED: Google Cloud Run Service Agent does not have permission to get access tokens for the service account run@p.iam.gserviceaccount.com.", "credentials", "https://github.com/GoogleCloudPlatform/terraform-google-cloud-run/issues/28"),
    Refusal("cloud-run", 403, "PERMISSION_DENIED: Permission 'iam.serviceaccounts.actAs' denied on service account x@p.iam.gserviceaccount.com (or it may not exist).", "credentials", "https://github.com/stefda/action-cloud-run/issues/6"),
    Refusal("cloud-run", 403, "PERMISSION_DENIED: Permission 'iam.serviceaccounts.actAs' denied on service account saffafsafa-compute@developer.gserviceaccount.com (or it may not exist).", "credentials", "https://github.com/google/keyword_factory/issues/22"),
    Refusal("cloud-run", 400, "FAILED_PRECONDITION: Quota violated:\nCpuAllocPerProjectRegion requested: 60000 allowed: 20000", "capacity", "https://github.com/googlecodelabs/feedback/issues/1856"),
    Refusal("cloud-run", 501, "UNIMPLEMENTED: Operation is not implemented, or supported, or enabled.", "stays", "https://github.com/pulumi/pulumi-gcp/issues/1078"),
    Refusal("cloud-run", 400, "FAILED_PRECONDITION: Precondition check failed.", "stays", "https://github.com/hashicorp/terraform-provider-google/issues/14010"),
    Refusal("cloud-run", 400, "INVALID_ARGUMENT: Invalid value specified for cpu. For the specified value, maxScale may not exceed 10.", "stays", "https://github.com/firebase/firebase-tools/issues/5867"),
    Refusal("cloud-run", 400, "INVALID_ARGUMENT: spec.template.spec.containers.resources.limits.memory: Invalid value specified for memory. For the specified value, maxScale may not exceed 83.\nConsider running your workload in a region with greater capacity, decreasing your requested memory-per-instances, or requesting an increase in quota for this region", "stays", "https://github.com/googlecodelabs/feedback/issues/1210"),
    Refusal("cloud-run", 400, "INVALID_ARGUMENT: Invalid value specified for memory with gen2 execution environment. For 1.0 CPU, memory must be between 512Mi and 4Gi inclusive.", "stays", "https://github.com/MarkEdmondson1234/googleCloudRunner/issues/137"),
    Refusal("cloud-run", 400, "INVALID_ARGUMENT: spec.template.metadata.annotations: Invalid cloud sql instance names: [':us-central1:myinstance']. Instance names must be 97 characters or less, matching [a-zA-Z0-9-]{1,}:[a-zA-Z0-9-]{1,}:[a-z][a-z0-9-]{0,}, and cannot end in an hyphen", "stays", "https://github.com/googlecodelabs/feedback/issues/1264"),
    Refusal("cloud-run", 404, "NOT_FOUND: Namespaces instance [cloud-run-jobs-350018] not found: Requested entity was not found.", "stays", "https://github.com/googlecodelabs/feedback/issues/1111"),
    Refusal("cloud-run", 404, "NOT_FOUND: Requested entity was not found.", "stays", "https://github.com/pulumi/pulumi-google-native/issues/639"),
    # -- Vertex AI ----------------------------------------------------------------------------
    Refusal("vertex", 429, "RESOURCE_EXHAUSTED: The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_training_nvidia_l4_gpus", "capacity", "https://github.com/GoogleCloudPlatform/stable-diffusion-on-gcp/issues/12"),
    Refusal("vertex", 429, "RESOURCE_EXHAUSTED: The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_training_cpus,", "capacity", "https://github.com/GoogleCloudPlatform/vertex-ai-samples/issues/3479"),
    Refusal("vertex", 400, "FAILED_PRECONDITION: Service agents are being provisioned (https://cloud.google.com/vertex-ai/docs/general/access-control#service-agents). Service agents are needed to read the Cloud Storage file provided. So please try again in a few minutes.", "passes", "https://github.com/GoogleCloudPlatform/generative-ai/issues/1308"),
    Refusal("vertex", 400, "INVALID_ARGUMENT: You do not have permission to act as service_account: 123-compute@developer.gserviceaccount.com. (or it may not exist).", "credentials", "https://github.com/googleapis/python-aiplatform/issues/1073"),
    Refusal("vertex", 403, "PERMISSION_DENIED: Permission denied on resource project My First Project.", "credentials", "https://github.com/GoogleCloudPlatform/training-data-analyst/issues/1811"),
    Refusal("vertex", 403, "PERMISSION_DENIED: Permission 'aiplatform.tensorboards.create' denied on resource '//aiplatform.googleapis.com/projects/kmikit5x/locations/us-central1' (or it may not exist).", "credentials", "https://github.com/GoogleCloudPlatform/t5x-on-vertex-ai/issues/5"),
    Refusal("vertex", 403, "PERMISSION_DENIED: Permission 'aiplatform.endpoints.predict' denied on resource '//aiplatform.googleapis.com/projects/rhel-lightspeed/locations/us-central1/endpoints/openapi' (or it may not exist).", "credentials", "https://github.com/rhel-lightspeed/linux-mcp-server/pull/450"),
    Refusal("vertex", 400, 'INVALID_ARGUMENT: Accelerator "NVIDIA_TESLA_K80" is not supported for machine type "n1-standard-4".', "stays", "https://github.com/GoogleCloudPlatform/vertex-ai-samples/issues/213"),
    Refusal("vertex", 400, "INVALID_ARGUMENT: List of found errors: 1.Field: job_spec.worker_pool_specs[0].machine_spec.accelerator_type; Message: Both `accelerator_type` and `accelerator_count` should be specified or none.", "stays", "https://github.com/prefect-archive/prefect-gcp/issues/175"),
    # -- Azure Container Instances ------------------------------------------------------------
    Refusal("aci", 409, "ServiceUnavailable: The requested resource is not available in the location 'westus' at this moment. Please retry with a different resource request or in another location. Resource requested: '2' CPU '3.5' GB memory 'Linux' OS", "capacity", "https://github.com/virtual-kubelet/virtual-kubelet/issues/592"),
    Refusal("aci", 409, "ServiceUnavailable: The requested resource is not available in the location 'westeurope' at this moment. Resource requested: '1' CPU '2' GB memory '1' GPU 'K80' 'Linux' OS", "capacity", "https://github.com/hashicorp/terraform-provider-azurerm/issues/10332"),
    Refusal("aci", 400, "ContainerGroupQuotaReached: Resource type 'Microsoft.ContainerInstance/containerGroups' container group quota 'StandardCores' exceeded in region 'eastus'. Limit: '10', Usage: '8' Requested: '4'.", "capacity", "https://github.com/cirruslabs/cirrus-ci-docs/issues/25"),
    Refusal("aci", 400, "InaccessibleImage: The image 'x' in container group 'y' is not accessible. Please check the image and registry credential.", "stays", "https://github.com/Azure/azure-cli/issues/18596"),
    Refusal("aci", 400, "InaccessibleImage: The image 'x' in container group 'y' is not accessible. Please check the image and registry credential.", "stays", "https://github.com/Azure/azure-sdk-for-python/issues/16731"),
    Refusal("aci", 400, "InaccessibleImage: The image 'neo4jlabs/neodash' in container group 'xxxxxxx' is not accessible. Please check the image and registry credential.", "stays", "https://github.com/neo4j-contrib/neodash/issues/367"),
    Refusal("aci", 400, "InaccessibleImage: The image 'nginx:alpine' in container group 'unleash' is not accessible. Please check the image and registry credential.", "stays", "https://github.com/hashicorp/terraform-provider-azurerm/issues/20216"),
    Refusal("aci", 409, "RegistryErrorResponse: An error response is received from the docker registry 'index.docker.io'. Please retry later.", "capacity", "https://github.com/Azure/azure-cli/issues/29300"),
    Refusal("aci", 500, "InternalServerError: An internal error has occurred. Please retry the operation and contact support if the issue persists.", "passes", "https://github.com/Azure/azure-cli/issues/30915"),
    Refusal("aci", 500, "InternalServerError", "passes", "https://github.com/hashicorp/terraform-provider-azurerm/issues/20004"),
    Refusal("aci", 503, "too many 503 error responses", "passes", "https://github.com/Azure/azure-sdk-for-python/issues/4868"),
    Refusal("aci", 409, "MissingSubscriptionRegistration: The subscription is not registered to use namespace 'Microsoft.ContainerInstance'. See https://aka.ms/rps-not-found for how to register subscriptions.", "stays", "https://github.com/Azure/aci-connector-k8s/issues/33"),
    Refusal("aci", 403, "AuthorizationFailed: The client does not have authorization to perform action 'Microsoft.ContainerInstance/containerGroups/write' over scope '/subscriptions/s/resourceGroups/r'", "credentials", "https://github.com/Azure-Samples/aci-logicapps-integration/issues/9"),
    Refusal("aci", 403, "AuthorizationFailed: The client '2a6fc298' with object id '2a6fc298' does not have authorization to perform action 'Microsoft.ContainerInstance/register/action' over scope '/subscriptions/53b81d7e' or the scope is invalid. If access was recently granted, please refresh your credentials.", "credentials", "https://github.com/smart-edge-open/converged-edge-experience-kits/issues/100"),
    Refusal("aci", 400, "DnsNameLabelNotAvailable: The DNS name label 'aci-demo-win' in container group 'mycontainer' not available. Try using a different label.", "stays", "https://github.com/MicrosoftDocs/azure-docs/issues/39415"),
    # -- Modal --------------------------------------------------------------------------------
    Refusal("modal", 429, "RESOURCE_EXHAUSTED: Function call failed: workspace billing cycle spend limit reached", "stays", "https://github.com/modal-labs/modal-client/issues/3397"),
    Refusal("modal", 409, "ALREADY_EXISTS: Sandbox with name 'x' already exists and is running", "passes", "https://github.com/modal-labs/modal-client/pull/3364"),
    Refusal("modal", 503, "UNAVAILABLE: failed to connect to all addresses / channel connection timeout", "passes", "https://github.com/modal-labs/modal-client/issues/4113"),
    Refusal("modal", 401, "UNAUTHENTICATED: Token missing. Could not authenticate client.", "credentials", "https://github.com/modal-labs/modal-client/pull/647"),
    Refusal("modal", 412, "FAILED_PRECONDITION: Sandbox has already terminated", "stays", "https://github.com/modal-labs/modal-client/blob/main/py/test/conftest.py#L585"),
    Refusal("modal", 412, "FAILED_PRECONDITION: Old client", "stays", "https://github.com/modal-labs/modal-client/blob/main/py/test/conftest.py#L1004"),
)  # fmt: skip

ENDS: tuple[End, ...] = (
    # -- Cloud Run: the message of a job that never gets ready, or of a task ------------------
    End("cloud-run", 0, "Google Cloud Run Service Agent service-1@serverless-robot-prod.iam.gserviceaccount.com must have permission to read the image, us-docker.pkg.dev/p/r/etl. Ensure that the provided container image URL is correct and that the above account has permission to access the image.", "stays", "https://github.com/terraform-google-modules/terraform-docs-samples/pull/606"),
    End("cloud-run", 0, "Revision 'sams-00001-8m6' is not ready and cannot serve traffic. spec.template.spec.containers[0].env[12].value_from.secret_key_ref.name: Permission denied on secret: projects/sourcegraph-dev/secrets/SAMS_GITHUB_CLIENT_SECRET/versions/latest for Revision service account sams-sa@sams-dev-bfec.iam.gserviceaccount.com.", "stays", "https://github.com/sourcegraph/sourcegraph-public-snapshot/pull/59045"),
    End("cloud-run", 0, "spec.template.spec.containers[0].env[0].value_from.secret_key_ref.name: Permission denied on secret: projects/729273278660/secrets/dbusersecret/versions/latest for Revision service account 729273278660-compute@developer.gserviceaccount.com. The service account used must be granted the 'Secret Manager Secret Accessor' role", "stays", "https://github.com/terraform-google-modules/terraform-docs-samples/pull/168"),
    End("cloud-run", 1, "Task migrate-vnttt-task0 failed with message: The container exited with an error.", "exit 1", "https://github.com/googlecodelabs/feedback/issues/1369"),
    End("cloud-run", 137, "Memory limit of 512 MiB exceeded with 516 MiB used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits", "passes", "https://github.com/dart-lang/pub-dev/issues/9554"),
    End("cloud-run", 137, "Memory limit of 5120 MiB exceeded with 5261 MiB used.", "passes", "https://github.com/SkyTruth/cerulean-cloud/issues/90"),
    End("cloud-run", 137, "Memory limit of 512M exceeded with 526M used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits", "passes", "https://github.com/googleapis/repo-automation-bots/issues/2418"),
    End("cloud-run", 0, "Memory limit of 953M exceeded with 967M used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits", "passes", "https://github.com/googleapis/repo-automation-bots/issues/3105"),
    # -- Vertex AI: the code and message of the job's error -----------------------------------
    End("vertex", 3, "The replica workerpool0-0 exited with a non-zero status of 1. To find out more about why your job exited please check the logs: https://console.cloud.google.com/logs/viewer?project=123&resource=ml_job", "exit 1", "https://github.com/tensorflow/models/issues/10735"),
    End("vertex", 3, 'The replica master 0 exited with a non-zero status of 1. Termination reason: Error. Traceback (most recent call last): File "/usr/lib/python2.7/runpy.py", line 174, in _run_module_as_main', "exit 1", "https://github.com/tensorflow/models/issues/4294"),
    End("vertex", 3, "The replica worker 2 exited with a non-zero status of 1. Termination reason: Error. Traceback (most recent call last): [...] UnavailableError: OS Error", "exit 1", "https://github.com/tensorflow/models/issues/4342"),
    End("vertex", 3, "The replica ps 0 exited with a non-zero status of 1. Termination reason: Error. The replica ps 1 exited with a non-zero status of 1. Termination reason: Error.", "exit 1", "https://github.com/tensorflow/models/issues/5845"),
    End("vertex", 3, "The replica master 0 exited with a non-zero status of 1", "exit 1", "https://github.com/tensorflow/models/issues/7568"),
    End("vertex", 3, "Replica exited with a non-zero status code 1", "exit 1", "https://github.com/GoogleCloudPlatform/vertex-ai-samples/issues/2880"),
    End("vertex", 3, 'The replica workerpool1-1 exited with a non-zero status of 1. Termination reason: Error. \nTraceback (most recent call last):\n  [...]\n  File "/app/.local/lib/python3.7/site-packages/transformers/models/auto/auto_factory.py", line 465, in from_pretrained', "exit 1", "https://github.com/GoogleCloudPlatform/vertex-ai-samples/pull/1504"),
    End("vertex", 3, "The replica workerpool0-0 exited with a non-zero status of 128. Termination reason: StartError. \n Termination log message: failed to create containerd task: failed to create shim task", "stays", "https://github.com/GoogleCloudPlatform/vertex-ai-samples/issues/1898"),
    End("vertex", 8, "The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_training_nvidia_k80_gpus", "capacity", "https://github.com/GoogleCloudPlatform/vertex-ai-samples/issues/700"),
    End("vertex", 9, "Resources are insufficient in region: us-central1. Please try a different region or use a different accelerator.", "capacity", "https://github.com/openreview/openreview-expertise/issues/401"),
    # -- Azure Container Instances: an event of the group or of the container -----------------
    End("aci", 0, "The requested resource is not available in the location 'uksouth' at this moment. Please retry with a different resource request or in another location. Resource requested: '1' CPU '2' GB memory 'Linux' OS virtual network", "capacity", "https://github.com/Azure/ALZ-PowerShell-Module/issues/472"),
    End("aci", 0, "Error: Failed to start container aci-x, Error response: to create containerd task: failed to create container 4f: guest RPC failure: failed to create container", "passes", "https://github.com/microsoft/opengcs/issues/384"),
    # -- Coiled: why the cluster is in the state `error` --------------------------------------
    End("coiled", 0, "Scheduler Stopped -> Instance failed: Instance became unhealthy: State - shutting-down Reason - Server.InternalError: Internal error on launch", "passes", "https://github.com/coiled/benchmarks/issues/745"),
    End("coiled", 0, "InternalError: Internal error on launch", "passes", "https://github.com/coiled/benchmarks/issues/743"),
    End("coiled", 0, "Scheduler Stopped -> Instance failed: MaxFleetCountExceeded - You've reached your quota for maximum Fleet Requests for this account.", "capacity", "https://github.com/coiled/feedback/issues/225"),
    End("coiled", 0, "Scheduler Stopped -> Instance failed: Blocked - This account is currently blocked and not recognized as a valid account. Please contact aws-verification@amazon.com if you have questions.", "stays", "https://github.com/coiled/feedback/issues/225"),
    End("coiled", 0, "Scheduler Stopped -> Instance failed: InsufficientInstanceCapacity", "capacity", "https://github.com/coiled/feedback/issues/152"),
)  # fmt: skip
