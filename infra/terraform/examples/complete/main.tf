# The system with all of its platforms: a key and a topic of alarms of its own, an HTTP API, the
# reporter, and a pool for each platform. What Google Cloud and Azure need is in google.tf and azure.tf.

provider "aws" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  tags      = { "push-dispatch" = var.name }

  # The other clouds trust roles by their names, so that neither side waits for the other.
  role_of_cloud_run = "arn:${local.partition}:iam::${local.account}:role/${var.name}-${data.aws_region.current.id}-push-cloud-run"
  role_of_aci       = "arn:${local.partition}:iam::${local.account}:role/${var.name}-${data.aws_region.current.id}-push-aci"
}

module "push_dispatch" {
  source = "../.."

  name                = var.name
  bundles             = var.bundles
  deletion_protection = var.deletion_protection
  kms_key_arn         = aws_kms_key.key.arn
  alarm_topic_arn     = aws_sns_topic.alarms.arn
  api                 = "http"
  enable_reporter     = true

  managed        = { subnets = var.subnets, security_groups = var.security_groups, public_ip = var.public_ip }
  ecs_task_roles = module.ecs.task_roles
  cloud_run      = local.google.cloud_run
  aci            = local.azure.aci
  modal          = { token_secret = "modal" }

  tags = local.tags
}

# -- what the platforms need in AWS ---------------------------------------------------------------

module "ecs" {
  source = "../../modules/platform-ecs"

  name        = "${var.name}-etl"
  kms_key_arn = aws_kms_key.key.arn

  tags = local.tags
}

# Put the token into it: docs/guides/credentials.md.
resource "aws_secretsmanager_secret" "modal" {
  name        = "push-dispatch-system/modal"
  description = "token_id and token_secret of a service user of Modal, as JSON."
  kms_key_id  = aws_kms_key.key.arn

  tags = local.tags
}
