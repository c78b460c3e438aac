# What several functions may do. Statements and resources that are null are left out.
locals {
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
    enqueue = {
      Effect   = "Allow"
      Action   = ["dynamodb:BatchWriteItem"]
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
    use_key = local.has_key ? {
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = var.kms_key_arn
    } : null
    read_secrets = {
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.secrets_prefix}*"
    }
    # For platforms that take a secret as a secret.
    name_secrets = {
      Effect   = "Allow"
      Action   = ["secretsmanager:DescribeSecret"]
      Resource = "arn:${local.partition}:secretsmanager:${local.region}:${local.account}:secret:${var.secrets_prefix}*"
    }
  }
}
