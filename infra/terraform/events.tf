# -- the bus ---------------------------------------------------------------------------------------

resource "aws_cloudwatch_event_bus" "bus" {
  name = var.name

  tags = var.tags
}

resource "aws_cloudwatch_event_rule" "request" {
  name           = "${var.name}-request"
  description    = "Requests for runs."
  event_bus_name = aws_cloudwatch_event_bus.bus.name
  event_pattern  = jsonencode({ detail-type = ["Run Requested"] })

  tags = var.tags
}

resource "aws_cloudwatch_event_target" "request" {
  rule           = aws_cloudwatch_event_rule.request.name
  event_bus_name = aws_cloudwatch_event_bus.bus.name
  target_id      = "submit"
  arn            = aws_sqs_queue.queue["request"].arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters["all"].arn
  }
}

resource "aws_cloudwatch_event_rule" "task" {
  name        = "${var.name}-task"
  description = "Changes of the state of ECS tasks that push-dispatch has started."
  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail      = { startedBy = [{ prefix = "pd/" }] }
  })

  tags = var.tags
}

resource "aws_cloudwatch_event_target" "task" {
  rule      = aws_cloudwatch_event_rule.task.name
  target_id = "finish"
  arn       = aws_sqs_queue.queue["finish"].arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters["all"].arn
  }
}

resource "aws_cloudwatch_event_rule" "webhook" {
  count = local.has_webhooks ? 1 : 0

  name           = "${var.name}-webhook"
  description    = "Changes of the state of runs, for the webhooks."
  event_bus_name = aws_cloudwatch_event_bus.bus.name
  event_pattern = jsonencode({
    source      = ["push-dispatch"]
    detail-type = ["Run State Changed"]
  })

  tags = var.tags
}

resource "aws_cloudwatch_event_target" "webhook" {
  count = local.has_webhooks ? 1 : 0

  rule           = aws_cloudwatch_event_rule.webhook[0].name
  event_bus_name = aws_cloudwatch_event_bus.bus.name
  target_id      = "webhook"
  arn            = aws_sqs_queue.queue["webhook"].arn
}

resource "aws_sqs_queue_policy" "webhook" {
  count = local.has_webhooks ? 1 : 0

  queue_url = aws_sqs_queue.queue["webhook"].url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.queue["webhook"].arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.webhook[0].arn } }
    }]
  })
}

resource "aws_cloudwatch_event_rule" "trace" {
  count = local.has_traces ? 1 : 0

  name           = "${var.name}-trace"
  description    = "Ends of runs, for the collector of traces."
  event_bus_name = aws_cloudwatch_event_bus.bus.name
  event_pattern = jsonencode({
    source      = ["push-dispatch"]
    detail-type = ["Run State Changed"]
    detail      = { to = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"] }
  })

  tags = var.tags
}

resource "aws_cloudwatch_event_target" "trace" {
  count = local.has_traces ? 1 : 0

  rule           = aws_cloudwatch_event_rule.trace[0].name
  event_bus_name = aws_cloudwatch_event_bus.bus.name
  target_id      = "trace"
  arn            = aws_sqs_queue.queue["trace"].arn
}

resource "aws_sqs_queue_policy" "trace" {
  count = local.has_traces ? 1 : 0

  queue_url = aws_sqs_queue.queue["trace"].url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.queue["trace"].arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.trace[0].arn } }
    }]
  })
}

# Rules of this account may map any event onto a deployment: see docs/reference/events.md.
resource "aws_sqs_queue_policy" "request" {
  queue_url = aws_sqs_queue.queue["request"].url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.queue["request"].arn
      Condition = {
        ArnLike = { "aws:SourceArn" = "arn:${local.partition}:events:${local.region}:${local.account}:rule/*" }
      }
    }]
  })
}

# Also those of the events of a platform that is not ours.
resource "aws_sqs_queue_policy" "finish" {
  queue_url = aws_sqs_queue.queue["finish"].url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.queue["finish"].arn
      Condition = {
        ArnLike = { "aws:SourceArn" = "arn:${local.partition}:events:${local.region}:${local.account}:rule/*" }
      }
    }]
  })
}

# What a rule could not deliver within a day.
resource "aws_sqs_queue_policy" "rules_may_give_up" {
  queue_url = aws_sqs_queue.dead_letters["all"].url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.dead_letters["all"].arn
      Condition = {
        ArnEquals = { "aws:SourceArn" = [aws_cloudwatch_event_rule.request.arn, aws_cloudwatch_event_rule.task.arn] }
      }
    }]
  })
}

# -- the minute ------------------------------------------------------------------------------------

resource "aws_cloudwatch_event_rule" "minute" {
  name                = "${var.name}-minute"
  description         = "What time alone changes."
  schedule_expression = "rate(1 minute)"

  tags = var.tags
}

resource "aws_cloudwatch_event_target" "minute" {
  rule      = aws_cloudwatch_event_rule.minute.name
  target_id = "sweep"
  arn       = module.sweep.arn
}

resource "aws_lambda_permission" "minute" {
  function_name = module.sweep.name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.minute.arn
}

# -- schedules of deployments ----------------------------------------------------------------------

resource "aws_scheduler_schedule_group" "schedules" {
  name = var.name

  tags = var.tags
}

resource "aws_iam_role" "schedule_role" {
  name = "${local.role_prefix}-schedules"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.account
          "aws:SourceArn"     = "arn:${local.partition}:scheduler:${local.region}:${local.account}:schedule-group/${aws_scheduler_schedule_group.schedules.name}"
        }
      }
    }]
  })

  tags = var.tags
}

resource "aws_iam_role_policy" "schedule_role" {
  name = "fire"
  role = aws_iam_role.schedule_role.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in [
      {
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.queue["request"].arn
      },
      # Of schedules that were saved when they invoked the function: see docs/guides/operations.md.
      {
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = module.submit.arn
      },
      local.may.use_key,
    ] : statement if statement != null]
  })
}
