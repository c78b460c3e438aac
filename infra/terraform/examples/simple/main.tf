# The system, and one pool of runs in the account's own ECS.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.98, < 7.0"
    }
  }
}

provider "aws" {}

variable "bundles" {
  description = "Folder with the functions' zip files: `make bundles` builds it."
  type        = string
  default     = "../../../../build/bundles"
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

module "push_dispatch" {
  source = "../.."

  bundles             = var.bundles
  deletion_protection = var.deletion_protection
}

module "etl" {
  source = "../../modules/pool"

  table_name = module.push_dispatch.table_name
  command    = var.command
  name       = "etl"
  type       = "ecs"
  limit      = 1
  queues = {
    urgent = { priority = 1 }
    bulk   = { priority = 2, limit = 20 }
  }
}

output "push_dispatch" {
  description = "What the command line and other systems need to know."
  value       = module.push_dispatch
}

output "pools" {
  description = "Pools that are declared here."
  value       = [module.etl.name]
}
