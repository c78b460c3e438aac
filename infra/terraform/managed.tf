# The system's own cluster, for pools of type managed.
locals {
  task_roles = concat(
    local.has_managed ? [aws_iam_role.execution_role[0].arn, aws_iam_role.task_role[0].arn] : [],
    var.ecs_task_roles,
  )

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
  count = local.has_managed ? 1 : 0

  name = var.name

  # Charged for each task; what a run did is in its record and its log.
  setting {
    name  = "containerInsights"
    value = "disabled"
  }

  tags = var.tags
}

resource "aws_ecs_cluster_capacity_providers" "cluster" {
  count = local.has_managed ? 1 : 0

  cluster_name       = aws_ecs_cluster.cluster[0].name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_cloudwatch_log_group" "task_logs" {
  count = local.has_managed ? 1 : 0

  name              = "/push-dispatch/${var.name}/tasks"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn

  tags = var.tags
}

resource "aws_iam_role" "execution_role" {
  count = local.has_managed ? 1 : 0

  name               = "${local.role_prefix}-execution"
  assume_role_policy = local.by_tasks

  tags = var.tags
}

resource "aws_iam_role_policy_attachment" "execution_role" {
  count = local.has_managed ? 1 : 0

  role       = aws_iam_role.execution_role[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "execution_role" {
  count = local.has_managed ? 1 : 0

  name   = "secrets"
  role   = aws_iam_role.execution_role[0].id
  policy = jsonencode({ Version = "2012-10-17", Statement = [local.may.read_secrets] })
}

resource "aws_iam_role" "task_role" {
  count = local.has_managed ? 1 : 0

  name               = "${local.role_prefix}-task"
  assume_role_policy = local.by_tasks

  tags = var.tags
}
