output "arn" {
  description = "The function's ARN."
  value       = aws_lambda_function.function.arn
}

output "name" {
  description = "The function's name."
  value       = aws_lambda_function.function.function_name
}

output "role_arn" {
  description = "ARN of the role that the function has: what other clouds' federation trusts."
  value       = aws_iam_role.role.arn
}

output "log_group" {
  description = "Name of the function's log group."
  value       = aws_cloudwatch_log_group.logs.name
}

output "log_group_arn" {
  description = "ARN of the function's log group."
  value       = aws_cloudwatch_log_group.logs.arn
}
