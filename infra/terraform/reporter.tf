# The function that runs report to. Its URL takes no signature: what runs in a container of another
# cloud has none. Each request carries the token of its attempt, which is good for reporting on that
# attempt only.
module "report" {
  source = "./modules/function"
  count  = local.has_reporter ? 1 : 0

  name        = "${var.name}-report"
  role_name   = "${local.role_prefix}-report"
  handler     = "push_dispatch.handlers.report.handler"
  package     = "${var.bundles}/base.zip"
  environment = merge(local.environment, { PUSH_DISPATCH_REPORT_KEY_NAME = "${var.name}/report-key" })
  statements = [
    local.may.use_runs,
    local.may.give_orders,
    local.may.use_key,
    local.may.read_report_key,
  ]

  reserved_concurrency = var.reporter_concurrency > 0 ? var.reporter_concurrency : null

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

locals {
  has_report_url = var.enable_reporter && var.reporter_url == "url"
  has_report_api = var.enable_reporter && var.reporter_url == "http"
}

resource "aws_lambda_function_url" "report" {
  count = local.has_report_url ? 1 : 0

  function_name      = module.report[0].name
  authorization_type = "NONE"
}

resource "aws_lambda_permission" "report_url" {
  count = local.has_report_url ? 1 : 0

  function_name          = module.report[0].name
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "*"
  function_url_auth_type = "NONE"
}

# Since October 2025 a new URL needs a second permission, which version 5 of the provider cannot say:
# it has no argument for the condition that the call came by the URL, and without that condition
# every account could call the function past it. CloudFormation can.
# docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
resource "aws_cloudformation_stack" "report_url" {
  count = local.has_report_url ? 1 : 0

  name = "${var.name}-report-url"
  template_body = jsonencode({
    Resources = {
      Permission = {
        Type = "AWS::Lambda::Permission"
        Properties = {
          FunctionName          = module.report[0].name
          Action                = "lambda:InvokeFunction"
          Principal             = "*"
          InvokedViaFunctionUrl = true
        }
      }
    }
  })

  tags = var.tags
}

# The same with a ceiling: what is above it is refused with 429 and invokes nothing.
resource "aws_apigatewayv2_api" "report_api" {
  count = local.has_report_api ? 1 : 0

  name          = "${var.name}-report"
  protocol_type = "HTTP"

  tags = var.tags
}

resource "aws_apigatewayv2_integration" "report_api_integration" {
  count = local.has_report_api ? 1 : 0

  api_id                 = aws_apigatewayv2_api.report_api[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = module.report[0].arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "report_api_route" {
  count = local.has_report_api ? 1 : 0

  api_id             = aws_apigatewayv2_api.report_api[0].id
  route_key          = "POST /"
  authorization_type = "NONE"
  target             = "integrations/${aws_apigatewayv2_integration.report_api_integration[0].id}"
}

resource "aws_apigatewayv2_stage" "report_api_stage" {
  count = local.has_report_api ? 1 : 0

  api_id      = aws_apigatewayv2_api.report_api[0].id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit  = var.reporter_rate
    throttling_burst_limit = var.reporter_rate
  }

  access_log_settings {
    destination_arn = module.report[0].log_group_arn
    format = jsonencode({
      requestId = "$context.requestId"
      route     = "$context.routeKey"
      status    = "$context.status"
    })
  }

  tags = var.tags
}

resource "aws_lambda_permission" "report_api_may_call" {
  count = local.has_report_api ? 1 : 0

  action        = "lambda:InvokeFunction"
  function_name = module.report[0].name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "arn:${local.partition}:execute-api:${local.region}:${local.account}:${aws_apigatewayv2_api.report_api[0].id}/*"
}

# The tokens of attempts are derived of it. CloudFormation has the value generated, so neither the plan
# nor the state has it. (An ephemeral resource would do the same, but `terraform test` of 1.11 refuses
# to mock a provider in a configuration that has one.)
resource "aws_cloudformation_stack" "report_key" {
  count = local.has_reporter ? 1 : 0

  name = "${var.name}-report-key"
  template_body = jsonencode({
    Resources = {
      Key = {
        Type = "AWS::SecretsManager::Secret"
        Properties = merge(
          {
            Description          = "The tokens of push-dispatch's attempts are derived of it."
            Name                 = "${var.system_secrets_prefix}${var.name}/report-key"
            GenerateSecretString = { PasswordLength = 64, ExcludePunctuation = true }
          },
          local.has_key ? { KmsKeyId = var.kms_key_arn } : {},
        )
      }
    }
    Outputs = { Arn = { Value = { Ref = "Key" } } }
  })

  tags = var.tags
}
