variable "name" {
  description = "Name of the system, and of what it needs elsewhere."
  type        = string
  default     = "push-dispatch"
}

variable "bundles" {
  description = "Folder with the functions' zip files: `make bundles` builds it."
  type        = string
  default     = "../../../../build/bundles"
}

variable "templates" {
  description = "Folder with base job templates: `push-dispatch pool get-default-template --type ecs` prints ecs.json."
  type        = string
  default     = "../../../../src/push_dispatch/platforms/templates"
}

variable "command" {
  description = "The push-dispatch command line."
  type        = string
  default     = "push-dispatch"
}

variable "deletion_protection" {
  description = "Whether the table refuses to be deleted."
  type        = bool
  default     = true
}

variable "subnets" {
  description = "Subnets of the tasks in ECS, in several zones."
  type        = list(string)
}

variable "security_groups" {
  description = "Security groups of the tasks in ECS; none for the VPC's own."
  type        = list(string)
  default     = []
}

variable "public_ip" {
  description = "Whether the tasks have public addresses, which they need in public subnets."
  type        = bool
  default     = false
}

variable "alarm_email" {
  description = "Who receives alarms; null for none yet."
  type        = string
  default     = null
}

variable "issuer" {
  description = "The account's issuer URL: `aws iam enable-outbound-web-identity-federation` tells it, once per account."
  type        = string
}

variable "google_project" {
  description = "ID of the Google Cloud project."
  type        = string
}

variable "google_region" {
  description = "Region of the jobs in Cloud Run."
  type        = string
  default     = "europe-west1"
}

variable "azure_subscription_id" {
  description = "ID of the Azure subscription."
  type        = string
}

variable "azure_location" {
  description = "Location of the container groups."
  type        = string
  default     = "westeurope"
}
