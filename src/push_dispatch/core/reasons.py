"""Why does a run wait, fail or end, and what can be done about it?

A reason is a stable token. It is the same string in the CLI, the API, the logs, the metrics and
the documentation; `docs/reference/reasons.md` is generated from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Self

__all__ = ["REASONS", "About", "Kind", "Reason", "describe"]


class Kind(StrEnum):
    """When a reason is given."""

    #: A run that is scheduled and does not start (yet).
    WAIT = "wait"
    #: A run that holds a slot and goes its way.
    STATE = "state"
    #: An attempt or a run that ended.
    END = "end"
    #: A request that was refused.
    REFUSAL = "refusal"


class About(NamedTuple):
    """What a reason means, and what to do."""

    token: str
    kind: Kind
    sentence: str
    remedy: str
    #: For an end: whether a new attempt of the same request may succeed.
    retryable: bool = True


def _wait(token: str, sentence: str, remedy: str) -> About:
    return About(token, Kind.WAIT, sentence, remedy)


def _state(token: str, sentence: str, remedy: str) -> About:
    return About(token, Kind.STATE, sentence, remedy)


def _end(token: str, sentence: str, remedy: str, *, retryable: bool = True) -> About:
    return About(token, Kind.END, sentence, remedy, retryable)


def _refusal(token: str, sentence: str, remedy: str) -> About:
    return About(token, Kind.REFUSAL, sentence, remedy, retryable=False)


class Reason(StrEnum):
    """Every reason: equal to its token, with `about`."""

    about: About

    def __new__(cls, token: str, *about: Any) -> Self:
        member = str.__new__(cls, token)
        member._value_ = token
        member.about = About(token, *about)
        return member

    # fmt: off
    # -- waits, in the order in which they are found: the first that applies is the answer --------
    NOT_DUE = _wait("not_due", "The run is scheduled for later.", "Wait until its time, or submit without --at/--in.")
    POOL_PAUSED = _wait("pool_paused", "The pool is paused.", "push-dispatch pool resume POOL")
    QUEUE_PAUSED = _wait("queue_paused", "The queue is paused.", "push-dispatch queue resume QUEUE --pool POOL")
    POOL_LIMIT_ZERO = _wait("pool_limit_zero", "The pool's limit is 0: nothing starts.", "push-dispatch pool set-limit POOL N")
    QUEUE_LIMIT_ZERO = _wait("queue_limit_zero", "The queue's limit is 0: nothing starts.", "push-dispatch queue set-limit QUEUE N --pool POOL")
    QUEUE_LIMIT = _wait("queue_limit", "Every slot of the queue is held.", "Wait for a run of the queue to end, or raise the queue's limit.")
    POOL_LIMIT = _wait("pool_limit", "Every slot of the pool is held.", "Wait for a run of the pool to end, or raise the pool's limit.")
    POOL_FULL = _wait("pool_full", "The pool holds as many slots as a pool can.", "Spread the load over several pools.")
    KEY_LIMIT = _wait("key_limit", "Every slot of the run's concurrency key is held.", "Wait for a run with the same key to end, or raise the limit per key.")
    DEPLOYMENT_LIMIT = _wait("deployment_limit", "The deployment runs as often as it may at once.", "Wait for one of its runs to end, or raise the deployment's limit.")
    RATE_LIMIT = _wait("rate_limit", "The pool or queue has started as many runs as its period allows.", "Wait for the period to pass, or raise the rate.")
    NAMED_LIMIT = _wait("named_limit", "A named limit of the pool is full for the run's key.", "Wait for a run of the same key to end, or raise the limit.")
    NAMED_RATE = _wait("named_rate", "A named limit of the pool has started as many runs of the run's key as its period allows.", "Wait for the period to pass, or raise the rate.")
    CAPACITY = _wait("capacity", "The run needs more of a unit of the pool's capacity than is free; what becomes free is kept for it.", "Wait for runs to end, or raise the pool's capacity. backfill: conservative lets in short runs meanwhile.")
    CAPACITY_TOO_SMALL = _wait("capacity_too_small", "The run needs more of a unit than the pool has in all.", "Raise the pool's capacity, or cancel the run and submit a smaller one.")
    BEHIND_OTHERS = _wait("behind_others", "Slots are free, and the runs that are served first take them.", "Wait, or submit with a queue of higher priority; push-dispatch pool explain POOL")
    PLATFORM_RATE = _wait("platform_rate", "The pool has started as many runs as its platform_rate allows.", "Nothing to do: the run is admitted when its turn comes. Raise the platform_rate if the platform takes more.")
    NO_ROOM = _wait("no_room", "The platform has no room: one run a minute is tried, and the others follow once it starts.", "Nothing to do; raise the platform's capacity or quota, or add a fallback platform, if it happens often.")
    THROTTLED = _wait("throttled", "The platform takes no more starts for now: a rate or a quota is used up. One run a minute is tried, and the others follow once it starts.", "Nothing to do; ask for a higher quota, or set the pool's platform_rate below it, if it happens often.")
    ADMISSIBLE = _wait("admissible", "The run can start: it will be admitted by the next pass.", "Nothing to do; a pass takes about a second.")
    HANDING_OVER = _wait("handing_over", "The run holds a slot and is on its way to the platform.", "Nothing to do; it is sent again if this takes longer than a minute.")
    PUSH_RETRY = _wait("push_retry", "The platform could not be reached, or has not confirmed the start: the push is repeated.", "See the message: if it cannot succeed, mend its cause, or push-dispatch run cancel ID")
    IMAGE_PULLING = _wait("image_pulling", "The engine is pulling the image.", "Nothing to do; pull large images ahead of time.")
    RETRY_BACKOFF = _wait("retry_backoff", "The last attempt ended; the next one starts after the back-off.", "Wait, or cancel the run.")
    START_BY_AT_RISK = _wait("start_by_at_risk", "The run waits, and the time by which it should start is less than two minutes away.", "push-dispatch run explain ID says what it waits for; push-dispatch run boost ID serves it before the others of its queue.")
    # -- under way ----------------------------------------------------------------------------
    STARTING = _state("starting", "The platform accepted the request to start the run.", "Wait; see the platform's own console if it takes long.")
    RUNNING = _state("running", "The run is running.", "push-dispatch run logs ID")
    # -- ends ---------------------------------------------------------------------------------
    COMPLETED = _end("completed", "The process exited with code 0.", "Nothing to do.")
    EXIT_CODE = _end("exit_code", "The process exited with a code other than 0.", "Read the run's log: push-dispatch run logs ID")
    CANCELLED_BY_USER = _end("cancelled_by_user", "A user cancelled the run.", "Submit it again if that was a mistake.")
    CANCELLED_BY_COLLISION = _end("cancelled_by_collision", "The deployment was already running as often as it may.", "Use the collision strategy ENQUEUE, or raise the deployment's limit.", retryable=False)
    SUPERSEDED = _end("superseded", "A newer run of the same deployment or key waits in its place.", "Nothing to do: use the collision strategy ENQUEUE if every run counts.", retryable=False)
    REPLACED = _end("replaced", "A newer run of the same deployment or key took its place.", "Nothing to do: use the collision strategy ENQUEUE if every run counts.", retryable=False)
    DEBOUNCED = _end("debounced", "Another run of the same deployment and key is due within the debounce period, and starts in its place.", "Nothing to do: set debounce_seconds lower, or leave it out, if every run counts.", retryable=False)
    EXPIRED = _end("expired", "The run did not start within the time it was given.", "Raise the limit or the priority, or allow more time with --start-within.")
    WITHDRAWN = _end("withdrawn", "The Prefect server no longer wants the run, or has given it to another worker.", "Nothing to do; see the flow run in Prefect.", retryable=False)
    TIMED_OUT = _end("timed_out", "The run took longer than its timeout and was stopped.", "Raise the timeout, or make the job quicker.")
    LOST = _end("lost", "The platform no longer knows the attempt, and its end was not observed.", "Check the platform's own history; retry the run.")
    START_TIMEOUT = _end("start_timeout", "The platform accepted the attempt and did not start it in time.", "Check image, network and capacity of the platform.")
    STOPPED_ON_REQUEST = _end("stopped_on_request", "The attempt was stopped in the platform itself.", "Use push-dispatch run cancel instead.")
    OUT_OF_MEMORY = _end("out_of_memory", "The platform killed the process because it used too much memory.", "Raise the memory of the run.")
    SPOT_INTERRUPTION = _end("spot_interruption", "The platform took the spot capacity back.", "Allow crash retries, or use on-demand capacity.")
    INFRASTRUCTURE_FAILURE = _end("infrastructure_failure", "The platform's own infrastructure failed.", "Retry the run; see the platform's status page.")
    IMAGE_PULL_FAILED = _end("image_pull_failed", "The platform could not pull the image.", "Check the image's name, tag and the pull permission.", retryable=False)
    REGISTRY_UNAVAILABLE = _end("registry_unavailable", "The image's registry did not answer the platform.", "Nothing to do; use a registry close to the platform, with credentials, if it happens often.")
    RESOURCE_INITIALIZATION_FAILED = _end("resource_initialization_failed", "The platform could not prepare the task: a secret, role or log group is missing.", "Check the execution role, the secrets and the log group.", retryable=False)
    NETWORK_PROVISIONING_TIMEOUT = _end("network_provisioning_timeout", "The platform did not get a network interface in time.", "Retry; check the free addresses of the subnets.")
    COMMAND_NOT_FOUND = _end("command_not_found", "The command does not exist where the job runs.", "Check the command and the image or working directory.", retryable=False)
    PLATFORM_REJECTED = _end("platform_rejected", "The platform refused the request for good.", "See the message; correct the pool's template or the run's job variables.", retryable=False)
    PLATFORM_NOT_CONFIGURED = _end("platform_not_configured", "No function is deployed for the platform of this pool.", "Enable the platform in the deployment's parameters.", retryable=False)
    ACCESS_DENIED = _end("access_denied", "The role or the credentials may not do this.", "Grant the permission named in the message.", retryable=False)
    CREDENTIALS_MISSING = _end("credentials_missing", "The function has no credentials for the platform.", "Set the variable or the secret that the message names.", retryable=False)
    OVERRIDES_TOO_LONG = _end("overrides_too_long", "The overrides are longer than the platform accepts.", "Move large environment variables into the image, a file or a secret.", retryable=False)
    TEMPLATE_INVALID = _end("template_invalid", "The pool's base job template cannot be rendered for this run.", "push-dispatch run render POOL, then correct the template or the job variables.", retryable=False)
    SECRET_UNAVAILABLE = _end("secret_unavailable", "A secret that the run refers to cannot be read.", "Check the secret's name and the function's permission to read it.", retryable=False)
    SECRET_NOT_ALLOWED = _end("secret_not_allowed", "The job variables name a secret that the pool does not let them name.", "push-dispatch pool update POOL --allow-secret NAME, or name the secret in the pool's base job template.", retryable=False)
    PUSH_FAILED = _end("push_failed", "The attempt could not be pushed after several tries.", "See the message; then submit the run again.")
    PUSH_UNCERTAIN = _end("push_uncertain", "It could not be determined in time whether the platform started the attempt.", "Search the platform for the attempt by its name before you submit again.")
    NO_CAPACITY = _end("no_capacity", "The platform had no room.", "Add a fallback platform, or let the pool wait longer: give_up_seconds.")
    CIRCUIT_OPEN = _end("circuit_open", "The platform failed several times in a row, so no request was sent.", "Nothing to do; the next request is sent a minute after its last failure.")
    PLATFORM_ERROR = _end("platform_error", "The platform did not start the attempt.", "See the message; then submit the run again.")
    PLATFORM_THROTTLED = _end("platform_throttled", "The platform is rate-limiting requests.", "Nothing to do; ask for a higher quota if it happens often.")
    PLATFORM_UNAVAILABLE = _end("platform_unavailable", "The platform could not be reached.", "See the platform's status page; the push is tried again.")
    # -- refusals -----------------------------------------------------------------------------
    USAGE = _refusal("usage", "The command line cannot be understood.", "Add --help to see what the command takes.")
    NO_BACKEND = _refusal("no_backend", "Nothing says where the pools are.", "push-dispatch local up, or name a deployment with --profile, --region and PUSH_DISPATCH_TABLE.")
    INVALID_INPUT = _refusal("invalid_input", "The input is malformed.", "See the message.")
    INVALID_NAME = _refusal("invalid_name", "The name is empty, too long or has other characters than letters, digits, - and _.", "Choose another name, at most 63 characters long.")
    INVALID_LIMIT = _refusal("invalid_limit", "A limit is an integer of at least 0.", "Use 0 to start nothing, or clear-limit for no limit.")
    TOO_MANY_WAITING = _refusal("too_many_waiting", "As many runs wait as max_waiting allows.", "Submit it again when some have started or were cancelled (push-dispatch run cancel --dry-run shows which), or raise max_waiting.")
    WEIGHT_TOO_LARGE = _refusal("weight_too_large", "The run takes more of a unit than its pool has in all.", "Make the run smaller, or raise the pool's capacity.")
    INVALID_PRIORITY = _refusal("invalid_priority", "A priority is an integer of at least 1; 1 is served first.", "Use an integer of at least 1.")
    INVALID_TIME = _refusal("invalid_time", "The time cannot be read.", "See the message.")
    INVALID_TEMPLATE = _refusal("invalid_template", "The base job template is not valid.", "See the list of violations; push-dispatch pool get-default-template --type TYPE shows one that is.")
    INVALID_VARIABLES = _refusal("invalid_variables", "The job variables do not fit the pool's template.", "See the list of violations; push-dispatch run render POOL")
    INVALID_PARAMETERS = _refusal("invalid_parameters", "The parameters do not fit the deployment's schema.", "See the list of violations; push-dispatch deployment inspect NAME")
    ENFORCED_VARIABLE = _refusal("enforced_variable", "The pool does not let runs override this variable.", "Leave it out, or ask whoever owns the pool.")
    RUN_TOO_LARGE = _refusal("run_too_large", "The run's document is larger than the table can hold.", "Put large inputs elsewhere and pass a reference.")
    UNKNOWN_TYPE = _refusal("unknown_type", "There is no platform of that type.", "push-dispatch platform ls")
    PLATFORM_MISDECLARED = _refusal("platform_misdeclared", "The class of the platform declares what it cannot do, or does not declare what it can.", "Correct its class attribute `capabilities` as the message says.")
    PLATFORM_NOT_INSTALLED = _refusal("platform_not_installed", "The client library of the platform is not installed.", "Install the extra that the message names.")
    POOL_NOT_FOUND = _refusal("pool_not_found", "There is no pool of that name.", "push-dispatch pool ls")
    QUEUE_NOT_FOUND = _refusal("queue_not_found", "There is no queue of that name in the pool.", "push-dispatch queue ls --pool POOL")
    RUN_NOT_FOUND = _refusal("run_not_found", "There is no run of that id.", "push-dispatch run ls --pool POOL")
    DEPLOYMENT_NOT_FOUND = _refusal("deployment_not_found", "There is no deployment of that name.", "push-dispatch deployment ls")
    POOL_EXISTS = _refusal("pool_exists", "A pool of that name exists.", "Choose another name, or change it with pool update.")
    PROVISION_INCOMPLETE = _refusal("provision_incomplete", "What the pool needs of its platform is not there, or only a part of it.", "Correct what the message names, and type the same command again: it goes on.")
    QUEUE_EXISTS = _refusal("queue_exists", "The pool has a queue of that name.", "Choose another name, or change it with queue update.")
    POOL_NOT_EMPTY = _refusal("pool_not_empty", "Runs of the pool wait or run.", "Cancel them first, or delete with --force.")
    POOL_IN_USE = _refusal("pool_in_use", "Deployments name the pool.", "Delete them or move them to another pool first: push-dispatch deployment ls. Or delete with --force.")
    NOTHING_DECLARED = _refusal("nothing_declared", "The file declares nothing, and everything else would be deleted.", "Check what wrote the file; --allow-empty deletes everything all the same.")
    DEFAULT_QUEUE = _refusal("default_queue", "The default queue cannot be deleted.", "Pause it or set its limit to 0 instead.")
    LOGS_UNAVAILABLE = _refusal("logs_unavailable", "The platform's logs cannot be read from here.", "Open the platform's own console.")
    UNAUTHENTICATED = _refusal("unauthenticated", "The request carries no valid token.", "Send the header Authorization: Bearer TOKEN; push-dispatch local ls --json shows the token.")
    FOREIGN_ORIGIN = _refusal("foreign_origin", "The request comes from another web site, or names another host.", "Send it to 127.0.0.1 or localhost, from a program or from the runtime's own page.")
    NOT_ENDED = _refusal("not_ended", "The run has not ended.", "Wait for its end, or cancel it first: push-dispatch run cancel ID")
    PRECONDITION_FAILED = _refusal("precondition_failed", "It was changed since it was read.", "Read it again, and repeat the change with its new ETag.")
    IDEMPOTENCY_KEY_REUSED = _refusal("idempotency_key_reused", "Another request was made with the same idempotency key.", "Use another key, or send the same request again.")
    NOT_ATTACHED = _refusal("not_attached", "The pool is not attached to a Prefect server.", "push-dispatch prefect attach POOL --api-url URL")
    ATTACHED = _refusal("attached", "The pool is attached to a Prefect server, which decides.", "Change it there, or push-dispatch prefect detach POOL")
    WORK_POOL_NOT_FOUND = _refusal("work_pool_not_found", "The Prefect server has no such work pool.", "prefect work-pool ls")
    PREFECT_UNAVAILABLE = _refusal("prefect_unavailable", "The Prefect server cannot be reached or is busy.", "Check the URL, the network and the server; try again.")
    PREFECT_DENIED = _refusal("prefect_denied", "The Prefect server refuses the credentials.", "Check the secret with the API key or the user:password, and name it with --auth-secret or --key-secret.")
    PREFECT_VERSION = _refusal("prefect_version", "The Prefect server is too old.", "Upgrade it to 3.4 or newer.")
    NOT_WAITING = _refusal("not_waiting", "The run does not wait any more.", "Nothing to do: it has started, or ended.")
    ALREADY_ENDED = _refusal("already_ended", "The run has already ended.", "Nothing to do.")
    SCHEDULES_UNKNOWN = _refusal("schedules_unknown", "Nothing says where the system keeps the schedules of deployments.", "Set PUSH_DISPATCH_SCHEDULE_GROUP, PUSH_DISPATCH_SCHEDULE_TARGET and PUSH_DISPATCH_SCHEDULE_ROLE to the deployment's outputs.")
    NOT_FOUND = _refusal("not_found", "What was named does not exist.", "Check the name.")
    REFUSED = _refusal("refused", "The present state does not allow this.", "See the message.")
    CONFLICT = _refusal("conflict", "Another client changed it at the same time.", "Try again.")
    BACKEND_UNAVAILABLE = _refusal("backend_unavailable", "The backend cannot be reached or is throttling.", "Check the endpoint, the credentials and the network; try again.")
    TIMEOUT = _refusal("timeout", "What was waited for did not happen in time.", "Wait longer with --timeout, or ask why: push-dispatch run explain ID")
    INTERNAL_ERROR = _refusal("internal_error", "Something went wrong in push-dispatch.", "Report it with the message.")
    # fmt: on


#: What each means.
REASONS: Mapping[str, About] = {reason: reason.about for reason in Reason}


def describe(token: str) -> About:
    """What `token` means; an unknown one (a third party's platform) describes itself."""
    return REASONS.get(token) or About(token, Kind.END, token.replace("_", " "), "See the message.")
