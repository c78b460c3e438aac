# Pools and runs over HTTP: docs/reference/api.md. Every request needs a signature of this account.
locals {
  has_api      = var.api != "none"
  has_http_api = var.api == "http"
}

module "api" {
  source = "./modules/function"
  count  = local.has_api ? 1 : 0

  name        = "${var.name}-api"
  role_name   = "${local.role_prefix}-api"
  handler     = "push_dispatch.handlers.api.handler"
  package     = "${var.bundles}/api.zip"
  environment = local.eager
  statements = [
    local.may.use_runs,
    local.may.use_line,
    local.may.change_items,
    local.may.give_orders,
    local.may.claim,
    local.may.use_key,
    {
      Effect   = "Allow"
      Action   = ["dynamodb:DeleteItem"]
      Resource = aws_dynamodb_table.table.arn
    },
  ]

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

resource "aws_lambda_function_url" "api" {
  count = var.api == "url" ? 1 : 0

  function_name      = module.api[0].name
  authorization_type = "AWS_IAM"
}

resource "aws_apigatewayv2_api" "http_api" {
  count = local.has_http_api ? 1 : 0

  name          = var.name
  protocol_type = "HTTP"

  tags = var.tags
}

resource "aws_apigatewayv2_integration" "http_api_integration" {
  count = local.has_http_api ? 1 : 0

  api_id                 = aws_apigatewayv2_api.http_api[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = module.api[0].arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "http_api_route" {
  count = local.has_http_api ? 1 : 0

  api_id             = aws_apigatewayv2_api.http_api[0].id
  route_key          = "$default"
  authorization_type = "AWS_IAM"
  target             = "integrations/${aws_apigatewayv2_integration.http_api_integration[0].id}"
}

resource "aws_apigatewayv2_stage" "http_api_stage" {
  count = local.has_http_api ? 1 : 0

  api_id      = aws_apigatewayv2_api.http_api[0].id
  name        = "$default"
  auto_deploy = true

  access_log_settings {
    destination_arn = module.api[0].log_group_arn
    format = jsonencode({
      requestId = "$context.requestId"
      who       = "$context.identity.userArn"
      route     = "$context.routeKey"
      status    = "$context.status"
    })
  }

  tags = var.tags
}

resource "aws_lambda_permission" "http_api_may_call" {
  count = local.has_http_api ? 1 : 0

  action        = "lambda:InvokeFunction"
  function_name = module.api[0].name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "arn:${local.partition}:execute-api:${local.region}:${local.account}:${aws_apigatewayv2_api.http_api[0].id}/*"
}
