variable "name" {
  description = "Name of the system, and start of the names of what belongs to it. It is unique in the account and region."
  type        = string
  default     = "push-dispatch"

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,39}$", var.name))
    error_message = "A name starts with a letter and has up to 40 letters, digits and hyphens: names of functions are made of it."
  }
}

variable "role_prefix" {
  description = "Start of the names of roles, which are the account's and not the region's; null for NAME-REGION."
  type        = string
  default     = null

  validation {
    condition     = var.role_prefix == null || can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,48}$", var.role_prefix))
    error_message = "It starts with a letter and has up to 49 letters, digits and hyphens: a role's name has 64, and -push-cloud-run is part of it."
  }
}

variable "bundles" {
  description = "Folder with the functions' zip files, base.zip and others, which `make bundles` builds in build/bundles."
  type        = string
}

variable "log_retention_days" {
  description = "Days for which the functions' logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 180, 365, 731], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 180, 365 or 731 days."
  }
}

variable "kms_key_arn" {
  description = "Customer managed key for table, queues, secret and logs; null for the keys that AWS owns."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/.+$", var.kms_key_arn))
    error_message = "That is no ARN of a key: arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted."
  type        = bool
  default     = true
}

variable "run_retention_days" {
  description = "Days for which runs that have ended are kept; 0 keeps them for good."
  type        = number
  default     = 365

  validation {
    condition     = var.run_retention_days >= 0
    error_message = "Runs cannot be deleted before they end."
  }
}

variable "platform_concurrency" {
  description = "Pushes to one platform that run at once."
  type        = number
  default     = 10

  validation {
    condition     = var.platform_concurrency >= 2 && var.platform_concurrency <= 1000
    error_message = "Lambda takes a maximum concurrency from 2 to 1000."
  }
}

variable "stream_parallelization" {
  description = "Dispatches of one shard of the table's stream that run at once; a new table has some four shards."
  type        = number
  default     = 2

  validation {
    condition     = var.stream_parallelization >= 1 && var.stream_parallelization <= 10
    error_message = "Lambda takes a parallelization factor from 1 to 10."
  }
}

variable "eager" {
  description = "Whether runs are also started, and slots handed on, by whoever stores a run or its end, before the stream tells of it."
  type        = bool
  default     = true
}

variable "cloud_run" {
  description = "Pushes to Google Cloud Run; null for no such function. See docs/guides/credentials.md for what trusts this account."
  type = object({
    project         = optional(string, "") # for templates that name none
    audience        = optional(string, "") # the workload identity pool's provider that trusts this account
    service_account = optional(string, "") # to act as; empty for the pool's own principal
  })
  default = null
}

variable "aci" {
  description = "Pushes to Azure Container Instances; null for no such function."
  type = object({
    tenant_id = optional(string, "") # of the application that trusts this account
    client_id = optional(string, "") # that application, or a user-assigned identity
  })
  default = null
}

variable "modal" {
  description = "Pushes to Modal; null for no such function."
  type = object({
    token_secret = optional(string, "modal") # secret with token_id and token_secret as JSON; system_secrets_prefix comes before its name
  })
  default = null
}

variable "managed" {
  description = "The system's own ECS cluster, for pools of type managed; null for no cluster."
  type = object({
    subnets         = list(string)
    security_groups = optional(list(string), [])
    public_ip       = optional(bool, false) # which tasks need in public subnets
  })
  default = null

  validation {
    condition     = var.managed == null || try(length(var.managed.subnets) > 0, false)
    error_message = "Tasks need at least one subnet."
  }
}

variable "ecs_task_roles" {
  description = "Task and execution roles that pools of type ecs may pass to their tasks."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.ecs_task_roles : can(regex("^arn:[^:]+:iam::[0-9]{12}:role/.+$", arn))])
    error_message = "Each is the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME."
  }
}

variable "ecs_assume_roles" {
  description = "Roles, of other accounts too, as which pools of type ecs may start their tasks (aws_credentials.assume_role_arn)."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.ecs_assume_roles : can(regex("^arn:[^:]+:iam::[0-9]{12}:role/.+$", arn))])
    error_message = "Each is the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME."
  }
}

variable "ecs_clusters" {
  description = "ARNs of the clusters, also with *, in which tasks may be started and stopped; the system's own is always one of them."
  type        = list(string)
  default     = ["arn:*:ecs:*:*:cluster/*"]

  validation {
    condition     = length(var.ecs_clusters) > 0 && alltrue([for arn in var.ecs_clusters : can(regex("^arn:[^:]+:ecs:[^:]+:[^:]+:cluster/.+$", arn))])
    error_message = "Each is the ARN of a cluster: arn:aws:ecs:REGION:ACCOUNT:cluster/NAME."
  }
}

variable "secrets_prefix" {
  description = "Secrets in Secrets Manager that templates may refer to start with this."
  type        = string
  default     = "push-dispatch/"

  validation {
    condition     = length(var.secrets_prefix) > 0
    error_message = "An empty prefix would let the functions read every secret of the account."
  }
}

variable "system_secrets_prefix" {
  description = "Secrets of the system itself, which no run can name, start with this; see docs/security.md."
  type        = string
  default     = "push-dispatch-system/"

  validation {
    condition     = length(var.system_secrets_prefix) > 0 && !startswith(var.system_secrets_prefix, var.secrets_prefix)
    error_message = "Runs could name the system's own secrets if their prefix started with secrets_prefix."
  }
}

variable "enable_prefect" {
  description = "Deploy the function that serves work pools of self-hosted Prefect servers; see docs/guides/prefect.md."
  type        = bool
  default     = false
}

variable "enable_reporter" {
  description = "Deploy the function that runs report to, behind a public URL that takes the attempts' tokens only."
  type        = bool
  default     = false
}

variable "reporter_url" {
  description = "What that URL is: \"url\" for a function URL, \"http\" for an HTTP API; only the latter has a ceiling, reporter_rate."
  type        = string
  default     = "url"

  validation {
    condition     = contains(["url", "http"], var.reporter_url)
    error_message = "It is url or http."
  }
}

variable "reporter_rate" {
  description = "Requests a second, and at once, that the HTTP API of the reporter lets through."
  type        = number
  default     = 100

  validation {
    condition     = var.reporter_rate >= 1
    error_message = "At least one, or no run can report."
  }
}

variable "reporter_concurrency" {
  description = "Concurrency reserved for, and never exceeded by, the function that runs report to; 0 for none. Accounts with a small concurrency cannot reserve any."
  type        = number
  default     = 0

  validation {
    condition     = var.reporter_concurrency >= 0
    error_message = "It is 0 for no reservation, or a number of invocations at once."
  }
}

variable "api" {
  description = "The HTTP API: \"url\" behind a function URL, \"http\" behind an HTTP API, both with IAM's signatures; \"none\" for no API."
  type        = string
  default     = "none"

  validation {
    condition     = contains(["none", "url", "http"], var.api)
    error_message = "It is none, url or http."
  }
}

variable "webhooks" {
  description = "Webhooks that receive changes of state, each signed with a secret of the store; see docs/reference/events.md."
  type = list(object({
    url    = string
    secret = string                     # its name in Secrets Manager, without system_secrets_prefix and webhooks/ before it
    pools  = optional(list(string), []) # all pools if it is empty
  }))
  default = []

  validation {
    condition     = alltrue([for hook in var.webhooks : startswith(hook.url, "https://")])
    error_message = "A webhook's URL starts with https://."
  }
}

variable "otlp" {
  description = "An OpenTelemetry collector that takes traces; null for none. See docs/guides/observability.md."
  type = object({
    endpoint       = string               # URL for OTLP over HTTP, without /v1/traces
    headers_secret = optional(string, "") # secret with headers, name=value with commas; system_secrets_prefix comes before its name
  })
  default = null

  validation {
    condition     = var.otlp == null || can(regex("^https?://.+", var.otlp.endpoint))
    error_message = "The endpoint is a URL: https://HOST or http://HOST:4318."
  }
}

variable "alarm_topic_arn" {
  description = "SNS topic that receives alarms; null for none."
  type        = string
  default     = null
}

variable "oldest_waiting_seconds" {
  description = "An alarm is raised when a run has been due and waiting for longer than this."
  type        = number
  default     = 3600

  validation {
    condition     = var.oldest_waiting_seconds >= 60
    error_message = "It is looked at once a minute."
  }
}

variable "enable_dashboard" {
  description = "Create a CloudWatch dashboard; three of an account are free."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}
