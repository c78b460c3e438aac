locals {
  # What each dead letter queue's alarm says.
  given_up = {
    all       = "A message was dead-lettered. See docs/guides/operations.md, redrive."
    ecs       = "A push to ECS was dead-lettered."
    cloud_run = "A push to Cloud Run was dead-lettered."
    aci       = "A push to Azure Container Instances was dead-lettered."
    modal     = "A push to Modal was dead-lettered."
  }

  # Of our own metrics, for the whole system: docs/reference/metrics.md.
  system_alarms = {
    slot_drift = {
      description = "Slots were held by attempts that had ended. They were given back; see docs/guides/operations.md."
      metric      = "SlotDrift"
      periods     = 1
      threshold   = 0
    }
    enqueued_late = {
      description = "Runs were in no line. The sweep has enqueued them; see docs/guides/operations.md."
      metric      = "EnqueuedLate"
      periods     = 1
      threshold   = 0
    }
    oldest_waiting = {
      description = "A run has been due and waiting for too long. push-dispatch pool explain says why."
      metric      = "OldestWaiting"
      periods     = 3
      threshold   = var.oldest_waiting_seconds
    }
  }

  # CloudWatch's own metrics of the function that dispatches.
  dispatch_alarms = {
    iterator_age = {
      description = "Dispatch is behind its stream by more than half a minute."
      metric      = "IteratorAge"
      statistic   = "Maximum"
      threshold   = 30000
    }
    throttles = {
      description = "Dispatch is throttled by the account's concurrency."
      metric      = "Throttles"
      statistic   = "Sum"
      threshold   = 0
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = aws_sqs_queue.dead_letters

  alarm_name          = each.value.name
  alarm_description   = local.given_up[each.key]
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arn[*]

  tags = var.tags
}

resource "aws_cloudwatch_metric_alarm" "dispatch" {
  for_each = local.dispatch_alarms

  alarm_name          = "${var.name}-${replace(each.key, "_", "-")}"
  alarm_description   = each.value.description
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = module.dispatch.name }
  statistic           = each.value.statistic
  period              = 60
  evaluation_periods  = 3
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arn[*]

  tags = var.tags
}

# Without a dimension: of all functions of the account and region. Ours are allowed their chains.
resource "aws_cloudwatch_metric_alarm" "recursion" {
  alarm_name          = "${var.name}-recursion"
  alarm_description   = "Lambda has stopped a chain of messages. See docs/guides/operations.md, recursive loops."
  namespace           = "AWS/Lambda"
  metric_name         = "RecursiveInvocationsDropped"
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arn[*]

  tags = var.tags
}

resource "aws_cloudwatch_metric_alarm" "system" {
  for_each = local.system_alarms

  alarm_name          = "${var.name}-${replace(each.key, "_", "-")}"
  alarm_description   = each.value.description
  namespace           = "PushDispatch"
  metric_name         = each.value.metric
  dimensions          = { service = var.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = each.value.periods
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arn[*]

  tags = var.tags
}

resource "aws_cloudwatch_metric_alarm" "sweep_errors" {
  alarm_name          = "${var.name}-sweep-errors"
  alarm_description   = "The sweep fails, or its time does not suffice for all pools."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = module.sweep.name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 3
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arn[*]

  tags = var.tags
}

resource "aws_cloudwatch_metric_alarm" "request_age" {
  alarm_name          = "${var.name}-request-age"
  alarm_description   = "Requests or firings of schedules could not be submitted for a quarter of an hour."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.queue["request"].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 900
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arn[*]

  tags = var.tags
}
