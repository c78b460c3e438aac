output "cluster_arn" {
  description = "For the job variable `cluster`."
  value       = aws_ecs_cluster.cluster.arn
}

output "execution_role_arn" {
  description = "For the job variable `execution_role_arn`."
  value       = aws_iam_role.execution.arn
}

output "task_role_arn" {
  description = "For the job variable `task_role_arn`."
  value       = aws_iam_role.task.arn
}

output "log_group" {
  description = "Name of the tasks' log group."
  value       = aws_cloudwatch_log_group.tasks.name
}

output "task_roles" {
  description = "Both roles, for the root module's ecs_task_roles: push-dispatch may pass no others."
  value       = [aws_iam_role.execution.arn, aws_iam_role.task.arn]
}
