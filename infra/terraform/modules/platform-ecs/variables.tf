variable "name" {
  description = "Name of the cluster, and start of the names of the roles and the log group."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,53}$", var.name))
    error_message = "A name starts with a letter and has up to 54 letters, digits and hyphens: names of roles are made of it."
  }
}

variable "role_prefix" {
  description = "Start of the names of roles, which are the account's and not the region's; null for NAME-REGION."
  type        = string
  default     = null

  validation {
    condition     = var.role_prefix == null || can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,53}$", var.role_prefix))
    error_message = "It starts with a letter and has up to 54 letters, digits and hyphens: a role's name has 64, and -execution is part of it."
  }
}

variable "container_insights" {
  description = "Whether CloudWatch measures each task, which is charged for each task."
  type        = bool
  default     = false
}

variable "secret_arns" {
  description = "Secrets that tasks may be started with, as ARNs or patterns of ARNs."
  type        = list(string)
  default     = []
}

variable "task_policy_arns" {
  description = "Policies of the code in the tasks, by names of your choice."
  type        = map(string)
  default     = {}
}

variable "log_retention_days" {
  description = "Days for which the tasks' logs are kept."
  type        = number
  default     = 30
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
