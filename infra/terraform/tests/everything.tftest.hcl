# What is deployed when everything is asked for?

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  bundles         = "./tests/bundles"
  kms_key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/k"
  alarm_topic_arn = "arn:aws:sns:eu-central-1:123456789012:alarms"
  enable_reporter = true
  api             = "url"
  cloud_run       = { project = "my-project" }
  aci             = {}
  modal           = {}
  otlp            = { endpoint = "https://otlp.example" }
  ecs_task_roles  = ["arn:aws:iam::123456789012:role/named"]
  managed         = { subnets = ["subnet-1", "subnet-2"], public_ip = true }
}

run "every_platform_has_its_function_role_queue_and_alarm" {
  command = apply

  assert {
    condition     = keys(output.push_role_arns) == ["aci", "cloud-run", "ecs", "modal"]
    error_message = "Roles: ${join(", ", keys(output.push_role_arns))}."
  }
  assert {
    condition = (
      keys(jsondecode(local.environment.PUSH_DISPATCH_PLATFORM_QUEUES))
      == ["aci", "cloud-run", "ecs", "managed", "modal"]
    )
    error_message = "Platforms: ${local.environment.PUSH_DISPATCH_PLATFORM_QUEUES}."
  }
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.dead_letters) == ["aci", "all", "cloud_run", "ecs", "modal"]
    error_message = "A queue of dead letters is not watched."
  }
}

run "everything_is_encrypted_with_the_key" {
  command = apply

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.queue : queue.kms_master_key_id == var.kms_key_arn])
    error_message = "A queue has another key."
  }
  assert {
    condition     = aws_dynamodb_table.table.server_side_encryption[0].kms_key_arn == var.kms_key_arn
    error_message = "The table has another key."
  }
  assert {
    condition     = local.may.use_key.Resource == var.kms_key_arn
    error_message = "The functions may not use the key."
  }
}

run "alarms_go_to_the_topic" {
  command = plan

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.dispatch : one(alarm.alarm_actions) == var.alarm_topic_arn])
    error_message = "An alarm tells nobody."
  }
}

run "tasks_get_the_roles_of_the_cluster_and_those_that_are_named" {
  command = apply

  assert {
    condition     = slice(local.task_roles, 0, 2) == tolist([aws_iam_role.execution_role[0].arn, aws_iam_role.task_role[0].arn])
    error_message = "Tasks of the system's own cluster cannot start."
  }
  assert {
    condition     = slice(local.task_roles, 2, length(local.task_roles)) == tolist(var.ecs_task_roles)
    error_message = "Other roles may be passed to tasks than those that are named."
  }
}

run "runs_know_where_to_report" {
  command = apply

  assert {
    condition     = local.reports.PUSH_DISPATCH_REPORT_URL == output.report_url && output.report_url != null
    error_message = "Runs are not told the URL."
  }
}

run "nobody_gets_into_the_api_without_a_signature" {
  command = apply

  assert {
    condition     = aws_lambda_function_url.api[0].authorization_type == "AWS_IAM"
    error_message = "The API's URL is public."
  }
}

run "nor_by_an_http_api" {
  command = apply

  variables {
    api = "http"
  }

  assert {
    condition     = aws_apigatewayv2_route.http_api_route[0].authorization_type == "AWS_IAM"
    error_message = "The HTTP API is public."
  }
  assert {
    condition     = length(aws_lambda_function_url.api) == 0
    error_message = "There are two ways in."
  }
}
