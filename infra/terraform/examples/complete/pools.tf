# A pool for each platform. What a run does not say, its pool's template says.

locals {
  templates = {
    for type in ["azure-container-instance", "cloud-run-v2", "ecs"] : type => file("${var.templates}/${type}.json")
  }
}

module "etl" {
  source = "../../modules/pool"

  table_name        = module.push_dispatch.table_name
  command           = var.command
  name              = "etl"
  type              = "ecs"
  description       = "In the account's own cluster, on Fargate."
  limit             = 50
  base_job_template = local.templates["ecs"]
  defaults = {
    cluster                   = module.ecs.cluster_arn
    execution_role_arn        = module.ecs.execution_role_arn
    task_role_arn             = module.ecs.task_role_arn
    configure_cloudwatch_logs = true
    cloudwatch_logs_options   = { "awslogs-group" = module.ecs.log_group }
    network_configuration = {
      subnets        = var.subnets
      securityGroups = var.security_groups
      assignPublicIp = var.public_ip ? "ENABLED" : "DISABLED"
    }
  }
  queues = {
    urgent = { priority = 1 }
    bulk   = { priority = 2, limit = 40 }
    # One run at a time for each customer.
    customers = { priority = 3, key_limit = 1 }
  }
}

module "small" {
  source = "../../modules/pool"

  table_name  = module.push_dispatch.table_name
  command     = var.command
  name        = "small"
  type        = "managed"
  description = "In the system's own cluster, with nothing to configure."
  limit       = 10
}

module "reports" {
  source = "../../modules/pool"

  table_name        = module.push_dispatch.table_name
  command           = var.command
  name              = "reports"
  type              = "cloud-run-v2"
  limit             = 20
  base_job_template = local.templates["cloud-run-v2"]
  defaults = {
    project              = local.google.cloud_run.project
    region               = var.google_region
    service_account_name = local.google.jobs_service_account
  }
  queues = {
    default = { priority = 1 }
    nightly = { priority = 2, limit = 5 }
  }
}

module "office" {
  source = "../../modules/pool"

  table_name        = module.push_dispatch.table_name
  command           = var.command
  name              = "office"
  type              = "azure-container-instance"
  limit             = 10
  base_job_template = local.templates["azure-container-instance"]
  defaults = {
    subscription_id     = local.azure.subscription_id
    resource_group_name = local.azure.resource_group_name
  }
}

module "gpu" {
  source = "../../modules/pool"

  table_name = module.push_dispatch.table_name
  command    = var.command
  name       = "gpu"
  type       = "modal:push"
  limit      = 4
  queues = {
    training  = { priority = 2, limit = 2 }
    inference = { priority = 1 }
  }
}
