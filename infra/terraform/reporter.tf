# The function that runs report to. Its URL takes no signature: what runs in a container of another
# cloud has none. Each request carries the token of its attempt, which is good for reporting on that
# attempt only.
module "report" {
  source = "./modules/function"
  count  = local.has_reporter ? 1 : 0

  name        = "${var.name}-report"
  handler     = "push_dispatch.handlers.report.handler"
  package     = "${var.bundles}/base.zip"
  environment = merge(local.environment, { PUSH_DISPATCH_REPORT_KEY_NAME = "${var.name}/report-key" })
  statements = [
    local.may.use_runs,
    local.may.give_orders,
    local.may.use_key,
    {
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = aws_cloudformation_stack.report_key[0].outputs["Arn"]
    },
  ]

  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
  tags               = var.tags
}

resource "aws_lambda_function_url" "report" {
  count = local.has_reporter ? 1 : 0

  function_name      = module.report[0].name
  authorization_type = "NONE"
}

resource "aws_lambda_permission" "report_url" {
  count = local.has_reporter ? 1 : 0

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
  count = local.has_reporter ? 1 : 0

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
            Name                 = "${var.secrets_prefix}${var.name}/report-key"
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
