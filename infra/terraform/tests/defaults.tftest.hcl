# What is deployed when nothing is asked for?

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  bundles = "./tests/bundles"
}

run "only_what_everybody_needs" {
  command = apply

  assert {
    condition     = keys(output.function_names) == ["dispatch", "finish", "notify", "push_ecs", "submit", "sweep"]
    error_message = "Functions: ${join(", ", keys(output.function_names))}."
  }
  assert {
    condition     = keys(output.push_role_arns) == ["ecs"]
    error_message = "A platform that nobody has asked for has a role."
  }
  assert {
    condition     = length(aws_ecs_cluster.cluster) == 0
    error_message = "There is a cluster without subnets."
  }
  assert {
    condition     = output.report_url == null
    error_message = "There is a public URL that nobody has asked for."
  }
}

run "the_table_cannot_be_lost" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.table.deletion_protection_enabled
    error_message = "The table can be deleted."
  }
  assert {
    condition     = aws_dynamodb_table.table.point_in_time_recovery[0].enabled
    error_message = "The table cannot be restored."
  }
}

run "each_dead_letter_queue_has_an_alarm" {
  command = apply

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.dead_letters) == keys(aws_sqs_queue.dead_letters)
    error_message = "A queue of dead letters is not watched."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.dead_letters : length(alarm.alarm_actions) == 0])
    error_message = "An alarm calls somebody although there is no topic."
  }
}

run "only_queues_of_what_is_deployed_are_known" {
  command = apply

  assert {
    condition     = keys(jsondecode(local.environment.PUSH_DISPATCH_PLATFORM_QUEUES)) == ["ecs", "managed"]
    error_message = "Platforms: ${local.environment.PUSH_DISPATCH_PLATFORM_QUEUES}."
  }
  assert {
    condition     = keys(aws_sqs_queue.queue) == ["ecs", "finish", "request", "wake"]
    error_message = "Queues: ${join(", ", keys(aws_sqs_queue.queue))}."
  }
}

run "tasks_get_no_role" {
  command = plan

  assert {
    condition     = length(local.task_roles) == 0
    error_message = "Pools of type ecs may pass roles that nobody has named."
  }
}
