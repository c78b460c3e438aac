locals {
  environment = {
    PUSH_DISPATCH_TABLE      = aws_dynamodb_table.table.name
    PUSH_DISPATCH_WAKE_QUEUE = aws_sqs_queue.queue["wake"].url
    PUSH_DISPATCH_PLATFORM_QUEUES = jsonencode(merge(
      { "ecs" = aws_sqs_queue.queue["ecs"].url, "managed" = aws_sqs_queue.queue["ecs"].url },
      local.has_cloud_run ? { "cloud-run" = aws_sqs_queue.queue["cloud_run"].url } : {},
      local.has_aci ? { "aci" = aws_sqs_queue.queue["aci"].url } : {},
      local.has_modal ? { "modal" = aws_sqs_queue.queue["modal"].url } : {},
      local.has_prefect ? { "prefect" = aws_sqs_queue.queue["prefect"].url } : {},
    ))
    PUSH_DISPATCH_SECRETS_PREFIX        = var.secrets_prefix
    PUSH_DISPATCH_SYSTEM_SECRETS_PREFIX = var.system_secrets_prefix
    PUSH_DISPATCH_RETENTION_DAYS        = var.run_retention_days
    OTEL_EXPORTER_OTLP_ENDPOINT         = local.has_traces ? var.otlp.endpoint : ""
    POWERTOOLS_LOG_LEVEL                = "INFO"
    POWERTOOLS_SERVICE_NAME             = var.name
  }
  eager = merge(local.environment, { PUSH_DISPATCH_EAGER = var.eager ? "true" : "false" })
}

module "dispatch" {
  source = "./modules/function"

  name        = "${var.name}-dispatch"
  role_name   = "${local.role_prefix}-dispatch"
  handler     = "push_dispatch.handlers.dispatch.handler"
  package     = "${var.bundles}/base.zip"
  recursive   = true
  environment = local.eager
  statements = [
    local.may.use_runs,
    local.may.use_line,
    local.may.wake,
    local.may.give_orders,
    local.may.claim,
    local.may.use_key,
  ]

  stream = {
    arn                    = aws_dynamodb_table.table.stream_arn
    parallelization_factor = var.stream_parallelization
    # What is no longer retried comes back by the queue that wakes, and is read again in the stream.
    on_failure = aws_sqs_queue.queue["wake"].arn
    filters = [
      jsonencode({
        eventName = ["INSERT", "MODIFY"]
        dynamodb = {
          Keys = { PK = { S = [{ prefix = "RUNS#" }] } }
          NewImage = {
            state = { S = ["SCHEDULED", "CANCELLING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"] }
          }
        }
      }),
      jsonencode({
        eventName = ["INSERT", "MODIFY"]
        dynamodb  = { Keys = { PK = { S = [{ prefix = "POOL#" }] }, SK = { S = ["CONFIG"] } } }
      }),
    ]
  }
  queues = {
    wake = { arn = aws_sqs_queue.queue["wake"].arn, maximum_concurrency = 5 }
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

module "finish" {
  source = "./modules/function"

  name        = "${var.name}-finish"
  role_name   = "${local.role_prefix}-finish"
  handler     = "push_dispatch.handlers.finish.handler"
  package     = "${var.bundles}/base.zip"
  environment = local.eager
  statements = [
    local.may.use_runs,
    local.may.use_line,
    local.may.wake,
    local.may.give_orders,
    local.may.claim,
    local.may.use_key,
  ]

  queues = {
    ends = { arn = aws_sqs_queue.queue["finish"].arn, maximum_concurrency = 5 }
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

# Called by the rule in events.tf.
module "sweep" {
  source = "./modules/function"

  name            = "${var.name}-sweep"
  role_name       = "${local.role_prefix}-sweep"
  handler         = "push_dispatch.handlers.sweep.handler"
  package         = "${var.bundles}/base.zip"
  timeout_seconds = 55
  # The next minute's sweep is better than a second try of this one.
  asynchronous = { maximum_retry_attempts = 0, maximum_event_age_seconds = 60 }
  environment  = local.environment
  statements = [
    local.may.use_runs,
    local.may.use_line,
    local.may.change_items,
    local.may.wake,
    local.may.give_orders,
    local.may.claim,
    local.may.use_key,
    {
      Effect   = "Allow"
      Action   = ["dynamodb:Query"]
      Resource = "${aws_dynamodb_table.table.arn}/index/ticks"
    },
  ]

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

module "submit" {
  source = "./modules/function"

  name        = "${var.name}-submit"
  role_name   = "${local.role_prefix}-submit"
  handler     = "push_dispatch.handlers.submit.handler"
  package     = "${var.bundles}/submit.zip"
  environment = merge(local.eager, { PUSH_DISPATCH_REJECTED_QUEUE = aws_sqs_queue.rejected.url })
  statements = [
    local.may.use_runs,
    local.may.use_line,
    local.may.give_orders,
    local.may.claim,
    {
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = aws_sqs_queue.rejected.arn
    },
    local.may.use_key,
  ]

  queues = {
    requests = { arn = aws_sqs_queue.queue["request"].arn, maximum_concurrency = 5 }
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

module "notify" {
  source = "./modules/function"

  name      = "${var.name}-notify"
  role_name = "${local.role_prefix}-notify"
  handler   = "push_dispatch.handlers.notify.handler"
  package   = "${var.bundles}/base.zip"
  environment = merge(local.environment, {
    PUSH_DISPATCH_EVENT_BUS = aws_cloudwatch_event_bus.bus.name
  })
  statements = [
    {
      Effect   = "Allow"
      Action   = ["events:PutEvents"]
      Resource = aws_cloudwatch_event_bus.bus.arn
    },
    local.may.use_key,
  ]

  stream = {
    arn        = aws_dynamodb_table.table.stream_arn
    on_failure = aws_sqs_queue.dead_letters["all"].arn
    filters = [
      jsonencode({
        eventName = ["INSERT", "MODIFY"]
        dynamodb  = { Keys = { PK = { S = [{ prefix = "RUNS#" }] } } }
      }),
    ]
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

# Apart from the function that reads the stream: a slow receiver delays its own messages only.
module "webhook" {
  source = "./modules/function"
  count  = local.has_webhooks ? 1 : 0

  name        = "${var.name}-webhook"
  role_name   = "${local.role_prefix}-webhook"
  handler     = "push_dispatch.handlers.webhook.handler"
  package     = "${var.bundles}/base.zip"
  environment = merge(local.environment, { PUSH_DISPATCH_WEBHOOKS = jsonencode(var.webhooks) })
  statements = [
    {
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = "${local.system_secrets}webhooks/*"
    },
    local.may.use_key,
  ]

  queues = {
    changes = { arn = aws_sqs_queue.queue["webhook"].arn, maximum_concurrency = 5 }
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

# Apart from the function that reads the stream, for the same reason.
module "trace" {
  source = "./modules/function"
  count  = local.has_traces ? 1 : 0

  name        = "${var.name}-trace"
  role_name   = "${local.role_prefix}-trace"
  handler     = "push_dispatch.handlers.trace.handler"
  package     = "${var.bundles}/otel.zip"
  environment = merge(local.environment, { PUSH_DISPATCH_OTLP_HEADERS_NAME = var.otlp.headers_secret })
  statements = [
    {
      Effect   = "Allow"
      Action   = ["dynamodb:GetItem"]
      Resource = aws_dynamodb_table.table.arn
    },
    # Secrets Manager appends six characters of its own.
    {
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = "${local.system_secrets}${var.otlp.headers_secret}-??????"
    },
    local.may.use_key,
  ]

  queues = {
    ends = { arn = aws_sqs_queue.queue["trace"].arn, maximum_concurrency = 5 }
  }

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}
