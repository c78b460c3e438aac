locals {
  # With what Lambda does in the function's name, on the function's own resources.
  statements = concat(
    [for given in var.statements : merge(given, {
      Resource = [for arn in flatten([given.Resource]) : arn if arn != null]
    }) if given != null],
    [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.logs.arn}:*"]
    }],
    [for queue in var.queues : {
      Effect   = "Allow"
      Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
      Resource = [queue.arn]
    }],
    var.stream == null ? [] : [
      {
        Effect   = "Allow"
        Action   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
        Resource = [var.stream.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [var.stream.on_failure]
      },
    ],
  )
}

resource "aws_lambda_function" "function" {
  function_name    = var.name
  handler          = var.handler
  runtime          = var.runtime
  architectures    = [var.architecture]
  memory_size      = var.memory_mb
  timeout          = var.timeout_seconds
  role             = aws_iam_role.role.arn
  filename         = var.package
  source_code_hash = fileexists(var.package) ? filebase64sha256(var.package) : null

  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = var.environment
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.logs.name
  }

  tags = var.tags

  # A function that is called before it may do anything fails, and Lambda looks at the role when
  # the mappings below are made.
  depends_on = [aws_iam_role_policy.policy]

  lifecycle {
    precondition {
      condition     = fileexists(var.package)
      error_message = "${var.package} is not there: build it by `make bundles`, and give the folder as `bundles`."
    }
  }
}

resource "aws_lambda_function_recursion_config" "recursion" {
  count = var.recursive ? 1 : 0

  function_name  = aws_lambda_function.function.function_name
  recursive_loop = "Allow"
}

resource "aws_cloudwatch_log_group" "logs" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn

  tags = var.tags
}

resource "aws_iam_role" "role" {
  name = var.role_name
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  tags = var.tags

  lifecycle {
    precondition {
      condition     = length(var.role_name) <= 64
      error_message = "${var.role_name} is longer than the 64 characters of a role's name: give role_prefix, or a shorter name."
    }
  }
}

resource "aws_iam_role_policy" "policy" {
  name   = "function"
  role   = aws_iam_role.role.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}

resource "aws_lambda_function_event_invoke_config" "asynchronous" {
  count = var.asynchronous == null ? 0 : 1

  function_name                = aws_lambda_function.function.function_name
  maximum_retry_attempts       = var.asynchronous.maximum_retry_attempts
  maximum_event_age_in_seconds = var.asynchronous.maximum_event_age_seconds
}

resource "aws_lambda_event_source_mapping" "queue" {
  for_each = var.queues

  function_name           = aws_lambda_function.function.arn
  event_source_arn        = each.value.arn
  batch_size              = each.value.batch_size
  function_response_types = ["ReportBatchItemFailures"]

  dynamic "scaling_config" {
    for_each = each.value.maximum_concurrency[*]
    content {
      maximum_concurrency = scaling_config.value
    }
  }

  tags = var.tags
}

resource "aws_lambda_event_source_mapping" "stream" {
  count = var.stream == null ? 0 : 1

  function_name                  = aws_lambda_function.function.arn
  event_source_arn               = var.stream.arn
  starting_position              = "TRIM_HORIZON"
  batch_size                     = var.stream.batch_size
  parallelization_factor         = var.stream.parallelization_factor
  bisect_batch_on_function_error = true
  maximum_retry_attempts         = var.stream.maximum_retry_attempts
  function_response_types        = ["ReportBatchItemFailures"]

  destination_config {
    on_failure {
      destination_arn = var.stream.on_failure
    }
  }

  filter_criteria {
    dynamic "filter" {
      for_each = var.stream.filters
      content {
        pattern = filter.value
      }
    }
  }

  tags = var.tags
}
