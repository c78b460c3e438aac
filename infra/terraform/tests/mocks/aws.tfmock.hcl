# Where the provider checks what it is given, a made-up value has to look like a real one.

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "123456789012"
  }
}

mock_data "aws_partition" {
  defaults = {
    partition = "aws"
  }
}

mock_data "aws_region" {
  defaults = {
    id   = "eu-central-1"
    name = "eu-central-1"
  }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn        = "arn:aws:dynamodb:eu-central-1:123456789012:table/push-dispatch"
    stream_arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/push-dispatch/stream/2026-01-01T00:00:00.000"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:eu-central-1:123456789012:queue"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/queue"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::123456789012:role/role"
  }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn = "arn:aws:lambda:eu-central-1:123456789012:function:function"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:eu-central-1:123456789012:log-group:logs"
  }
}

mock_resource "aws_cloudwatch_event_bus" {
  defaults = {
    arn = "arn:aws:events:eu-central-1:123456789012:event-bus/push-dispatch"
  }
}

mock_resource "aws_cloudwatch_event_rule" {
  defaults = {
    arn = "arn:aws:events:eu-central-1:123456789012:rule/rule"
  }
}

mock_resource "aws_ecs_cluster" {
  defaults = {
    arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/push-dispatch"
  }
}

mock_resource "aws_cloudformation_stack" {
  defaults = {
    outputs = {
      Arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:report-key"
    }
  }
}
