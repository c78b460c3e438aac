# One function for each platform: own role, own queue, own dead letters, own concurrency.
locals {
  # The system's own cluster is always one of them.
  clusters = concat(var.ecs_clusters, local.has_managed ? [aws_ecs_cluster.cluster[0].arn] : [])

  reports = {
    PUSH_DISPATCH_REPORT_URL = (
      local.has_report_url ? aws_lambda_function_url.report[0].function_url :
      local.has_report_api ? "${aws_apigatewayv2_api.report_api[0].api_endpoint}/" : ""
    )
    PUSH_DISPATCH_REPORT_KEY_NAME = local.has_reporter ? "${var.name}/report-key" : ""
  }

  # What each of them may do on any platform.
  may_push = [
    local.may.use_runs,
    local.may.change_items,
    local.may.wake,
    local.may.give_orders,
    local.may.use_key,
    local.may.read_secrets,
    local.may.read_report_key,
    local.may.name_secrets,
  ]
}

module "push_ecs" {
  source = "./modules/function"

  name      = "${var.name}-push-ecs"
  role_name = "${local.role_prefix}-push-ecs"
  handler   = "push_dispatch.handlers.push.handler"
  package   = "${var.bundles}/base.zip"
  recursive = true
  environment = merge(local.environment, local.reports, {
    PUSH_DISPATCH_MANAGED_CLUSTER            = local.has_managed ? aws_ecs_cluster.cluster[0].arn : ""
    PUSH_DISPATCH_MANAGED_SUBNETS            = local.has_managed ? join(",", var.managed.subnets) : ""
    PUSH_DISPATCH_MANAGED_SECURITY_GROUPS    = local.has_managed ? join(",", var.managed.security_groups) : ""
    PUSH_DISPATCH_MANAGED_PUBLIC_IP          = try(var.managed.public_ip, false) ? "ENABLED" : "DISABLED"
    PUSH_DISPATCH_MANAGED_EXECUTION_ROLE_ARN = local.has_managed ? aws_iam_role.execution_role[0].arn : ""
    PUSH_DISPATCH_MANAGED_TASK_ROLE_ARN      = local.has_managed ? aws_iam_role.task_role[0].arn : ""
    PUSH_DISPATCH_MANAGED_LOG_GROUP          = local.has_managed ? aws_cloudwatch_log_group.task_logs[0].name : ""
  })
  statements = concat(local.may_push, [
    {
      Effect    = "Allow"
      Action    = ["ecs:RunTask"]
      Resource  = "arn:${local.partition}:ecs:${local.region}:${local.account}:task-definition/*"
      Condition = { ArnLike = { "ecs:cluster" = local.clusters } }
    },
    {
      Effect    = "Allow"
      Action    = ["ecs:DescribeTasks", "ecs:StopTask"]
      Resource  = "arn:${local.partition}:ecs:${local.region}:${local.account}:task/*"
      Condition = { ArnLike = { "ecs:cluster" = local.clusters } }
    },
    # What is there already cannot be tagged.
    {
      Effect = "Allow"
      Action = ["ecs:TagResource"]
      Resource = [
        "arn:${local.partition}:ecs:${local.region}:${local.account}:task/*",
        "arn:${local.partition}:ecs:${local.region}:${local.account}:task-definition/*",
      ]
      Condition = { StringEquals = { "ecs:CreateAction" = ["RegisterTaskDefinition", "RunTask"] } }
    },
    # To list a cluster's tasks is asked for on all resources; the cluster is a condition.
    {
      Effect   = "Allow"
      Action   = ["ecs:ListTasks"]
      Resource = "*"
      Condition = {
        ArnLike = { "ecs:cluster" = "arn:${local.partition}:ecs:${local.region}:${local.account}:cluster/*" }
      }
    },
    # These know no resources: docs.aws.amazon.com/service-authorization, Elastic Container Service and EC2.
    {
      Effect = "Allow"
      Action = [
        "ec2:DescribeSubnets",
        "ec2:DescribeVpcs",
        "ecs:DescribeTaskDefinition",
        "ecs:RegisterTaskDefinition",
      ]
      Resource = "*"
    },
    length(local.task_roles) > 0 ? {
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = local.task_roles
      Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    } : null,
    length(var.ecs_assume_roles) > 0 ? {
      Effect   = "Allow"
      Action   = ["sts:AssumeRole"]
      Resource = var.ecs_assume_roles
    } : null,
  ])

  queues = {
    orders = { arn = aws_sqs_queue.queue["ecs"].arn, maximum_concurrency = var.platform_concurrency }
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

module "push_cloud_run" {
  source = "./modules/function"
  count  = local.has_cloud_run ? 1 : 0

  name      = "${var.name}-push-cloud-run"
  role_name = "${local.role_prefix}-push-cloud-run"
  handler   = "push_dispatch.handlers.push.handler"
  package   = "${var.bundles}/cloud-run.zip"
  recursive = true
  environment = merge(local.environment, local.reports, {
    GOOGLE_CLOUD_PROJECT                 = var.cloud_run.project
    PUSH_DISPATCH_GOOGLE_AUDIENCE        = var.cloud_run.audience
    PUSH_DISPATCH_GOOGLE_SERVICE_ACCOUNT = var.cloud_run.service_account
  })
  statements = concat(local.may_push, [
    # A token knows no resource, only for whom it is.
    {
      Effect    = "Allow"
      Action    = ["sts:GetWebIdentityToken"]
      Resource  = "*"
      Condition = { "ForAllValues:StringEquals" = { "sts:IdentityTokenAudience" = "https:${var.cloud_run.audience}" } }
    },
  ])

  queues = {
    orders = { arn = aws_sqs_queue.queue["cloud_run"].arn, maximum_concurrency = var.platform_concurrency }
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

module "push_aci" {
  source = "./modules/function"
  count  = local.has_aci ? 1 : 0

  name      = "${var.name}-push-aci"
  role_name = "${local.role_prefix}-push-aci"
  handler   = "push_dispatch.handlers.push.handler"
  package   = "${var.bundles}/aci.zip"
  recursive = true
  environment = merge(local.environment, local.reports, {
    AZURE_TENANT_ID = var.aci.tenant_id
    AZURE_CLIENT_ID = var.aci.client_id
  })
  statements = concat(local.may_push, [
    {
      Effect    = "Allow"
      Action    = ["sts:GetWebIdentityToken"]
      Resource  = "*"
      Condition = { "ForAllValues:StringEquals" = { "sts:IdentityTokenAudience" = "api://AzureADTokenExchange" } }
    },
  ])

  queues = {
    orders = { arn = aws_sqs_queue.queue["aci"].arn, maximum_concurrency = var.platform_concurrency }
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

module "push_modal" {
  source = "./modules/function"
  count  = local.has_modal ? 1 : 0

  name      = "${var.name}-push-modal"
  role_name = "${local.role_prefix}-push-modal"
  handler   = "push_dispatch.handlers.push.handler"
  package   = "${var.bundles}/modal.zip"
  recursive = true
  environment = merge(local.environment, local.reports, {
    PUSH_DISPATCH_MODAL_TOKEN_NAME = var.modal.token_secret
  })
  statements = concat(local.may_push, [
    # Secrets Manager appends six characters of its own.
    {
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = "${local.system_secrets}${var.modal.token_secret}-??????"
    },
  ])

  queues = {
    orders = { arn = aws_sqs_queue.queue["modal"].arn, maximum_concurrency = var.platform_concurrency }
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}
