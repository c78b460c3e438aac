# Between self-hosted Prefect servers and our pools. Its URL takes no signature, since a server's
# webhook has none: a request carries the secret of its pool, and is good for having us look.
module "prefect" {
  source = "./modules/function"
  count  = local.has_prefect ? 1 : 0

  name            = "${var.name}-prefect"
  role_name       = "${local.role_prefix}-prefect"
  handler         = "push_dispatch.handlers.prefect.handler"
  package         = "${var.bundles}/submit.zip"
  timeout_seconds = 55
  # It gives itself claims again that a server could not be reached for.
  recursive = true
  # The next minute's look is better than a second try of this one.
  asynchronous = { maximum_retry_attempts = 0, maximum_event_age_seconds = 60 }
  environment  = local.environment
  statements = [
    local.may.use_runs,
    local.may.use_line,
    local.may.change_items,
    local.may.give_orders,
    local.may.claim,
    local.may.use_key,
    local.may.read_secrets,
  ]

  queues = {
    claims = { arn = aws_sqs_queue.queue["prefect"].arn, maximum_concurrency = 5 }
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

resource "aws_lambda_function_url" "prefect" {
  count = local.has_prefect ? 1 : 0

  function_name      = module.prefect[0].name
  authorization_type = "NONE"
}

resource "aws_lambda_permission" "prefect_url" {
  count = local.has_prefect ? 1 : 0

  function_name          = module.prefect[0].name
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "*"
  function_url_auth_type = "NONE"
}

# By CloudFormation for the reason in reporter.tf.
resource "aws_cloudformation_stack" "prefect_url" {
  count = local.has_prefect ? 1 : 0

  name = "${var.name}-prefect-url"
  template_body = jsonencode({
    Resources = {
      Permission = {
        Type = "AWS::Lambda::Permission"
        Properties = {
          FunctionName          = module.prefect[0].name
          Action                = "lambda:InvokeFunction"
          Principal             = "*"
          InvokedViaFunctionUrl = true
        }
      }
    }
  })

  tags = var.tags
}

resource "aws_cloudwatch_event_rule" "prefect_minute" {
  count = local.has_prefect ? 1 : 0

  name                = "${var.name}-prefect-minute"
  description         = "Reads attached Prefect servers ahead."
  schedule_expression = "rate(1 minute)"

  tags = var.tags
}

resource "aws_cloudwatch_event_target" "prefect_minute" {
  count = local.has_prefect ? 1 : 0

  rule      = aws_cloudwatch_event_rule.prefect_minute[0].name
  target_id = "prefect"
  arn       = module.prefect[0].arn
}

resource "aws_lambda_permission" "prefect_minute" {
  count = local.has_prefect ? 1 : 0

  function_name = module.prefect[0].name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.prefect_minute[0].arn
}

# Where a run of an attached pool executes, and that it has ended other than well.
resource "aws_cloudwatch_event_rule" "prefect" {
  count = local.has_prefect ? 1 : 0

  name           = "${var.name}-prefect"
  description    = "Starts and ends of runs, for Prefect servers."
  event_bus_name = aws_cloudwatch_event_bus.bus.name
  event_pattern = jsonencode({
    source      = ["push-dispatch"]
    detail-type = ["Run State Changed"]
    detail      = { to = ["RUNNING", "FAILED", "CRASHED", "CANCELLED"] }
  })

  tags = var.tags
}

resource "aws_cloudwatch_event_target" "prefect" {
  count = local.has_prefect ? 1 : 0

  rule           = aws_cloudwatch_event_rule.prefect[0].name
  event_bus_name = aws_cloudwatch_event_bus.bus.name
  target_id      = "prefect"
  arn            = aws_sqs_queue.queue["prefect"].arn
}

resource "aws_sqs_queue_policy" "prefect" {
  count = local.has_prefect ? 1 : 0

  queue_url = aws_sqs_queue.queue["prefect"].url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.queue["prefect"].arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.prefect[0].arn } }
    }]
  })
}
