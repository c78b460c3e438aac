# What a pool of type ecs needs of an account: a cluster, the two roles of a task, a log group.

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  # Roles are the account's, everything else is the region's.
  role_prefix = coalesce(var.role_prefix, "${var.name}-${data.aws_region.current.id}")

  by_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_ecs_cluster" "cluster" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = var.container_insights ? "enabled" : "disabled"
  }

  tags = var.tags
}

resource "aws_ecs_cluster_capacity_providers" "cluster" {
  cluster_name       = aws_ecs_cluster.cluster.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_cloudwatch_log_group" "tasks" {
  name              = "/push-dispatch/${var.name}/tasks"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn

  tags = var.tags
}

# What starts a task: pulls its image, writes its log, reads the secrets that its template names.
resource "aws_iam_role" "execution" {
  name               = "${local.role_prefix}-execution"
  assume_role_policy = local.by_tasks

  tags = var.tags
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "secrets" {
  count = length(var.secret_arns) > 0 ? 1 : 0

  name = "secrets"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = var.secret_arns
    }]
  })
}

# What the code in the task may do: nothing, before you say what.
resource "aws_iam_role" "task" {
  name               = "${local.role_prefix}-task"
  assume_role_policy = local.by_tasks

  tags = var.tags
}

resource "aws_iam_role_policy_attachment" "task" {
  for_each = var.task_policy_arns

  role       = aws_iam_role.task.name
  policy_arn = each.value
}
