output "table_name" {
  description = "For PUSH_DISPATCH_TABLE."
  value       = aws_dynamodb_table.table.name
}

output "bus_name" {
  description = "The event bus that takes requests and tells of changes."
  value       = aws_cloudwatch_event_bus.bus.name
}

output "request_queue_arn" {
  description = "Target of rules that map other events onto deployments."
  value       = aws_sqs_queue.queue["request"].arn
}

output "finish_queue_arn" {
  description = "Target of rules for events of platforms that are not part of push-dispatch."
  value       = aws_sqs_queue.queue["finish"].arn
}

output "schedule_group" {
  description = "For PUSH_DISPATCH_SCHEDULE_GROUP."
  value       = aws_scheduler_schedule_group.schedules.name
}

output "schedule_target" {
  description = "For PUSH_DISPATCH_SCHEDULE_TARGET."
  value       = aws_sqs_queue.queue["request"].arn
}

output "schedule_role_arn" {
  description = "For PUSH_DISPATCH_SCHEDULE_ROLE."
  value       = aws_iam_role.schedule_role.arn
}

output "function_names" {
  description = "Names of the functions, by what they do."
  value = merge(
    {
      dispatch = module.dispatch.name
      finish   = module.finish.name
      notify   = module.notify.name
      push_ecs = module.push_ecs.name
      submit   = module.submit.name
      sweep    = module.sweep.name
    },
    { for function in module.api : "api" => function.name },
    { for function in module.push_aci : "push_aci" => function.name },
    { for function in module.push_cloud_run : "push_cloud_run" => function.name },
    { for function in module.push_modal : "push_modal" => function.name },
    { for function in module.report : "report" => function.name },
    { for function in module.prefect : "prefect" => function.name },
    { for function in module.trace : "trace" => function.name },
    { for function in module.webhook : "webhook" => function.name },
  )
}

output "push_role_arns" {
  description = "Roles of the functions that push, by platform: what other clouds' federation trusts."
  value = merge(
    { ecs = module.push_ecs.role_arn },
    { for function in module.push_aci : "aci" => function.role_arn },
    { for function in module.push_cloud_run : "cloud-run" => function.role_arn },
    { for function in module.push_modal : "modal" => function.role_arn },
  )
}

output "queue_urls" {
  description = "URLs of the queues: those that call functions, and, by NAME-dead-letters, dead letters."
  value = merge(
    { for name, queue in aws_sqs_queue.queue : replace(name, "_", "-") => queue.url },
    { for name, queue in aws_sqs_queue.dead_letters : "${replace(name, "_", "-")}-dead-letters" => queue.url },
    { rejected = aws_sqs_queue.rejected.url },
  )
}

output "report_url" {
  description = "Where runs report to; null without the reporter."
  value       = local.has_reporter ? local.reports.PUSH_DISPATCH_REPORT_URL : null
}

output "prefect_url" {
  description = "Where Prefect servers give hints (prefect attach --hint-url); null without that function."
  value       = local.has_prefect ? aws_lambda_function_url.prefect[0].function_url : null
}

output "api_url" {
  description = "Where the API is; null without one."
  value       = one(concat(aws_lambda_function_url.api[*].function_url, aws_apigatewayv2_api.http_api[*].api_endpoint))
}
