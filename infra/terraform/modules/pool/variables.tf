variable "table_name" {
  description = "The system's table: the root module's output table_name. The pool is declared after it is there, and deleted before it goes."
  type        = string
}

variable "name" {
  description = "Name of the pool."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", var.name))
    error_message = "A name has up to 63 letters, digits, hyphens and underscores, and starts with a letter or digit."
  }
}

variable "type" {
  description = "Type of infrastructure, such as ecs or cloud-run-v2; `push-dispatch platform ls` shows all."
  type        = string
}

variable "description" {
  description = "What the pool is for."
  type        = string
  default     = null
}

variable "limit" {
  description = "Slots the pool may hold at once; 0 starts nothing, null is no limit."
  type        = number
  default     = null

  validation {
    condition     = var.limit == null || try(var.limit >= 0 && var.limit <= 10000, false)
    error_message = "A limit is from 0 to 10000."
  }
}

variable "paused" {
  description = "Whether the pool starts nothing."
  type        = bool
  default     = false
}

variable "base_job_template" {
  description = "Base job template as JSON, such as file(\"template.json\"); null for the type's own."
  type        = string
  default     = null

  validation {
    condition     = var.base_job_template == null || can(jsondecode(var.base_job_template))
    error_message = "That is not JSON."
  }
}

variable "defaults" {
  description = "Values that job variables have unless a run names others, such as { cluster = module.ecs.cluster_arn }, in place of the base job template's."
  type        = any
  default     = {}

  validation {
    condition     = length(var.defaults) == 0 || var.base_job_template != null
    error_message = "They are put into a base job template: give one."
  }
  validation {
    condition     = alltrue([for name in keys(var.defaults) : can(jsondecode(var.base_job_template).variables.properties[name])])
    error_message = "The base job template has no such job variable."
  }
}

variable "platform_rate" {
  description = "Starts that the platform accepts in a period, such as { starts = 20, period_seconds = 1 }; null is any number."
  type = object({
    starts         = number
    period_seconds = number
  })
  default = null

  validation {
    condition     = var.platform_rate == null || try(var.platform_rate.starts >= 1 && var.platform_rate.starts <= 1000 && var.platform_rate.period_seconds >= 1, false)
    error_message = "From 1 to 1000 starts, in a period of at least a second."
  }
}

variable "hold_seconds" {
  description = "How long a run keeps its slot while the platform has no room or is throttling; then it waits in line. Null is 30."
  type        = number
  default     = null

  validation {
    condition     = var.hold_seconds == null || try(var.hold_seconds >= 0 && var.hold_seconds <= 86400, false)
    error_message = "From 0 to 86400 seconds."
  }
}

variable "give_up_seconds" {
  description = "How long after its first refusal a run that still finds no room ends as CRASHED; null is never."
  type        = number
  default     = null

  validation {
    condition     = var.give_up_seconds == null || try(var.give_up_seconds >= 1 && var.give_up_seconds <= 31622400, false)
    error_message = "From 1 second to 366 days."
  }
}

variable "limits" {
  description = "Limits by name, shared by all queues and deployments. Runs count together that have the same key, such as {{ parameters.tenant }}; without a key, all do."
  type = map(object({
    key   = optional(string)
    limit = optional(number)
    rate = optional(object({
      starts         = number
      period_seconds = number
    }))
    max_waiting = optional(number)
  }))
  default = {}

  validation {
    condition     = alltrue([for limit in var.limits : limit.limit != null || limit.rate != null || limit.max_waiting != null])
    error_message = "A limit has a limit, a rate, max_waiting, or several of them."
  }
}

variable "capacity" {
  description = "What the runs may take at once of each unit, such as { vcpu = 64, gpu = 4 }; empty is any amount."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for total in var.capacity : total >= 0 && total <= 1000000000])
    error_message = "From 0 to 1000000000."
  }
}

variable "weights" {
  description = "What a run takes of a unit of the capacity: a number, or an expression such as {{ variables.licences }}. Otherwise its job configuration says so, or it takes none."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for unit in keys(var.weights) : contains(keys(var.capacity), unit)])
    error_message = "A weight names a unit that the capacity does not have."
  }
}

variable "backfill" {
  description = "Who may start while a run waits for capacity: none, or conservative, which lets in runs whose timeout proves that they do not delay it."
  type        = string
  default     = null

  validation {
    condition     = var.backfill == null || try(contains(["none", "conservative"], var.backfill), false)
    error_message = "It is none or conservative."
  }
}

variable "ageing_seconds" {
  description = "A run counts as due so much later for each queue that goes before its own; null serves the queues strictly one after the other."
  type        = number
  default     = null

  validation {
    condition     = var.ageing_seconds == null || try(var.ageing_seconds >= 1 && var.ageing_seconds <= 31622400, false)
    error_message = "From 1 second to 366 days."
  }
}

variable "key_max_waiting" {
  description = "Runs with the same concurrency key that may wait for their first start; a submission beyond it is refused. Null is any number."
  type        = number
  default     = null

  validation {
    condition     = var.key_max_waiting == null || try(var.key_max_waiting >= 0 && var.key_max_waiting <= 10000, false)
    error_message = "From 0 to 10000 runs."
  }
}

variable "queues" {
  description = "Queues by name. 1 is the priority that is served first; it is unique in the pool."
  type = map(object({
    priority    = optional(number)
    limit       = optional(number)
    paused      = optional(bool, false)
    description = optional(string)
    key_limit   = optional(number)
    max_waiting = optional(number)
  }))
  default = {}

  validation {
    condition = (
      length(distinct([for queue in var.queues : queue.priority if queue.priority != null]))
      == length([for queue in var.queues : queue.priority if queue.priority != null])
    )
    error_message = "Two queues have the same priority."
  }
}

variable "command" {
  description = "The push-dispatch command line, on the machine that applies."
  type        = string
  default     = "push-dispatch"
}

variable "environment" {
  description = "Environment of that command beside what Terraform itself has, such as AWS_PROFILE and AWS_REGION. No secrets: it is in the state."
  type        = map(string)
  default     = {}
}
