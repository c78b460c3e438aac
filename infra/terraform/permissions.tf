# What several functions may do. Statements and resources that are null are left out.
locals {
  secrets        = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.secrets_prefix}"
  system_secrets = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.system_secrets_prefix}"

  may = {
    use_runs = {
      Effect   = "Allow"
      Action   = ["dynamodb:GetItem", "dynamodb:PutItem"]
      Resource = aws_dynamodb_table.table.arn
    }
    use_line = {
      Effect   = "Allow"
      Action   = ["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:Query"]
      Resource = aws_dynamodb_table.table.arn
    }
    change_items = {
      Effect   = "Allow"
      Action   = ["dynamodb:UpdateItem"]
      Resource = aws_dynamodb_table.table.arn
    }
    wake = {
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = aws_sqs_queue.queue["wake"].arn
    }
    give_orders = {
      Effect = "Allow"
      Action = ["sqs:SendMessage"]
      Resource = [
        aws_sqs_queue.queue["ecs"].arn,
        local.has_cloud_run ? aws_sqs_queue.queue["cloud_run"].arn : null,
        local.has_aci ? aws_sqs_queue.queue["aci"].arn : null,
        local.has_modal ? aws_sqs_queue.queue["modal"].arn : null,
      ]
    }
    claim = local.has_prefect ? {
      Effect   = "Allow"
      Action   = ["sqs:SendMessage"]
      Resource = aws_sqs_queue.queue["prefect"].arn
    } : null
    use_key = local.has_key ? {
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = var.kms_key_arn
    } : null
    read_secrets = {
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = "${local.secrets}*"
    }
    read_report_key = local.has_reporter ? {
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = aws_cloudformation_stack.report_key[0].outputs["Arn"]
    } : null
    # For platforms that take a secret as a secret.
    name_secrets = {
      Effect   = "Allow"
      Action   = ["secretsmanager:DescribeSecret"]
      Resource = "${local.secrets}*"
    }
  }
}
