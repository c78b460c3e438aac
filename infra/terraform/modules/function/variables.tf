variable "name" {
  description = "Name of the function and its log group."
  type        = string
}

variable "role_name" {
  description = "Name of the function's role, which is unique in the account."
  type        = string
}

variable "handler" {
  description = "Python path of what is called."
  type        = string
}

variable "package" {
  description = "Path of the zip file with the code."
  type        = string
}

variable "runtime" {
  description = "Lambda's name of the runtime. What is in the package was built for it."
  type        = string
  default     = "python3.13"
}

variable "architecture" {
  description = "Lambda's name of the architecture. What is in the package was built for it."
  type        = string
  default     = "arm64"
}

variable "memory_mb" {
  description = "Memory in MB."
  type        = number
  default     = 512
}

variable "timeout_seconds" {
  description = "Seconds after which Lambda ends a call."
  type        = number
  default     = 30
}

variable "reserved_concurrency" {
  description = "Invocations at once that are reserved for the function and never exceeded; null for no reservation."
  type        = number
  default     = null
}

variable "environment" {
  description = "Environment variables."
  type        = map(string)
}

variable "statements" {
  description = "What the function may do, as statements of an IAM policy. Left out are statements, and resources of a statement, that are null."
  type        = any
}

variable "queues" {
  description = "Queues that call the function, by the name of the event."
  type = map(object({
    arn                 = string
    batch_size          = optional(number, 10)
    maximum_concurrency = optional(number)
  }))
  default = {}
}

variable "stream" {
  description = "The DynamoDB stream that calls the function; null for none."
  type = object({
    arn                    = string
    filters                = list(string)
    on_failure             = string
    batch_size             = optional(number, 100)
    parallelization_factor = optional(number, 1)
    maximum_retry_attempts = optional(number, 10)
  })
  default = null
}

variable "asynchronous" {
  description = "What becomes of an asynchronous call that fails, or has waited; null for Lambda's own way."
  type = object({
    maximum_retry_attempts    = number
    maximum_event_age_seconds = number
  })
  default = null
}

variable "recursive" {
  description = "Whether it may send to a queue that calls it, as often as it likes: Lambda stops others after 16 messages."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "Days for which the log is kept."
  type        = number
}

variable "kms_key_arn" {
  description = "Key of the log group; null for the one that AWS owns."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}
