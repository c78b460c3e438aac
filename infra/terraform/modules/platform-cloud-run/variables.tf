variable "project" {
  description = "ID of the Google Cloud project in which jobs run."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's ID has 6 to 30 lower case letters, digits and hyphens; it is neither its name nor its number."
  }
}

variable "role_arn" {
  description = "ARN of the role of the function that pushes: arn:aws:iam::ACCOUNT:role/NAME-REGION-push-cloud-run, the root module's output push_role_arns. It need not exist yet."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", var.role_arn)) && length(var.role_arn) <= 127
    error_message = "It is the ARN of a role, arn:aws:iam::ACCOUNT:role/NAME, in up to 127 characters: Google takes no longer subjects."
  }
}

variable "issuer" {
  description = "The AWS account's issuer URL, which `aws iam get-outbound-web-identity-federation-info` tells once outbound federation is enabled."
  type        = string

  validation {
    condition     = startswith(var.issuer, "https://")
    error_message = "An issuer's URL starts with https://."
  }
}

variable "name" {
  description = "Name of the workload identity pool, and start of the names of accounts and roles. Google keeps a deleted pool's name for 30 days."
  type        = string
  default     = "push-dispatch"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,23}[a-z0-9]$", var.name)) && !startswith(var.name, "gcp-")
    error_message = "A name has 4 to 25 lower case letters, digits and hyphens, starts with a letter but not with gcp-, and ends with a letter or digit: names of service accounts are made of it."
  }
}

variable "job_roles" {
  description = "Roles on the project of the code in the jobs, such as roles/storage.objectViewer, by names of your choice."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for role in var.job_roles : can(regex("^(roles|projects/[^/]+/roles|organizations/[^/]+/roles)/.+$", role))])
    error_message = "A role reads roles/NAME, projects/PROJECT/roles/NAME or organizations/NUMBER/roles/NAME."
  }
}

variable "enable_apis" {
  description = "Whether to enable the APIs that are needed. Destroying disables none."
  type        = bool
  default     = true
}
