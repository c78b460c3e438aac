# Each queue, and which of the dead letter queues takes what it dead-letters. A message stays
# invisible for six times the functions' timeout, as Lambda's documentation wants it:
# docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
locals {
  queues = {
    wake      = { enabled = true, dead_letters = "all", receives = 100 }
    ecs       = { enabled = true, dead_letters = "ecs", receives = 10 }
    cloud_run = { enabled = local.has_cloud_run, dead_letters = "cloud_run", receives = 10 }
    aci       = { enabled = local.has_aci, dead_letters = "aci", receives = 10 }
    modal     = { enabled = local.has_modal, dead_letters = "modal", receives = 10 }
    finish    = { enabled = true, dead_letters = "all", receives = 100 }
    # Requests and the firings of schedules wait here for two days, one try in three minutes, before
    # they are dead letters: longer than an outage.
    request = { enabled = true, dead_letters = "all", receives = 1000 }
    # What the bus tells of changes, on its way to the webhooks.
    webhook = { enabled = local.has_webhooks, dead_letters = "all", receives = 100 }
    # Runs that have ended, on their way to the collector of traces.
    trace = { enabled = local.has_traces, dead_letters = "all", receives = 100 }
    # Attempts that are claimed at a Prefect server before they are pushed, and the changes that it is sent.
    prefect = { enabled = local.has_prefect, dead_letters = "all", receives = 100 }
  }

  dead_letters = {
    all       = { enabled = true }
    ecs       = { enabled = true }
    cloud_run = { enabled = local.has_cloud_run }
    aci       = { enabled = local.has_aci }
    modal     = { enabled = local.has_modal }
  }
}

resource "aws_sqs_queue" "queue" {
  for_each = { for name, queue in local.queues : name => queue if queue.enabled }

  name                       = "${var.name}-${replace(each.key, "_", "-")}"
  visibility_timeout_seconds = 180
  message_retention_seconds  = each.key == "request" ? 1209600 : null
  kms_master_key_id          = var.kms_key_arn
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[each.value.dead_letters].arn
    maxReceiveCount     = each.value.receives
  })

  tags = var.tags
}

# Requests that can never be submitted, each with its reason as a message attribute.
resource "aws_sqs_queue" "rejected" {
  name                      = "${var.name}-rejected"
  message_retention_seconds = 1209600
  kms_master_key_id         = var.kms_key_arn

  tags = var.tags
}

resource "aws_sqs_queue" "dead_letters" {
  for_each = { for name, queue in local.dead_letters : name => queue if queue.enabled }

  name                      = "${var.name}-${replace(each.key, "_", "-")}-dead-letters"
  message_retention_seconds = 1209600
  kms_master_key_id         = var.kms_key_arn

  tags = var.tags
}
