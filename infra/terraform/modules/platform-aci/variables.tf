variable "name" {
  description = "Name of the resource group, and start of the names of what is in it. Roles of this name are unique in the directory."
  type        = string
  default     = "push-dispatch"

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9_-]{0,79}$", var.name))
    error_message = "A name has up to 80 letters, digits, hyphens and underscores, and starts with a letter or digit."
  }
}

variable "location" {
  description = "Location of the resource group, such as westeurope, and of container groups whose template names none."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9 ]+$", var.location))
    error_message = "A location reads westeurope or West Europe."
  }
}

variable "role_arn" {
  description = "ARN of the role of the function that pushes: arn:aws:iam::ACCOUNT:role/NAME-REGION-push-aci, the root module's output push_role_arns. It need not exist yet."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", var.role_arn))
    error_message = "It is the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME."
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

variable "uses" {
  description = "IDs of subnets and user-assigned identities that container groups may be given, by names of your choice."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for id in var.uses : can(regex("/(virtualNetworks/[^/]+/subnets|userAssignedIdentities)/[^/]+$", id))
    ])
    error_message = "Each is the ID of a subnet or of a user-assigned identity: /subscriptions/…/subnets/NAME, /subscriptions/…/userAssignedIdentities/NAME."
  }
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}
