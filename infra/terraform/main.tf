# The same system as template.yaml, topic by topic: table, queues, functions, events, managed, alarms.
# tests/infra/test_parity.py compares the two.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  has_cloud_run = var.cloud_run != null
  has_aci       = var.aci != null
  has_modal     = var.modal != null
  has_webhooks  = length(var.webhooks) > 0
  has_traces    = var.otlp != null
  has_managed   = var.managed != null
  has_reporter  = var.enable_reporter
  has_prefect   = var.enable_prefect
  has_key       = var.kms_key_arn != null

  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.id

  # Roles are the account's, everything else is the region's.
  role_prefix = coalesce(var.role_prefix, "${var.name}-${local.region}")
}
