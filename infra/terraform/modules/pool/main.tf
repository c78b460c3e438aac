locals {
  given = var.base_job_template == null ? null : jsondecode(var.base_job_template)
  # The template with other defaults; without variables that could have any, as it is.
  template = try(
    merge(local.given, {
      variables = merge(local.given.variables, {
        properties = merge(local.given.variables.properties, {
          for name, default in var.defaults : name => merge(local.given.variables.properties[name], { default = default })
        })
      })
    }),
    local.given,
  )
  declared = {
    for name, held in {
      type              = var.type
      description       = var.description
      limit             = var.limit
      paused            = var.paused
      base_job_template = local.template
      platform_rate     = var.platform_rate
      hold_seconds      = var.hold_seconds
      give_up_seconds   = var.give_up_seconds
      limits = length(var.limits) == 0 ? null : {
        for name, limit in var.limits : name => { for key, value in limit : key => value if value != null }
      }
      capacity        = length(var.capacity) == 0 ? null : var.capacity
      weights         = length(var.weights) == 0 ? null : var.weights
      backfill        = var.backfill
      ageing_seconds  = var.ageing_seconds
      key_max_waiting = var.key_max_waiting
      queues = length(var.queues) == 0 ? null : {
        for name, queue in var.queues : name => { for key, value in queue : key => value if value != null }
      }
    } : name => held if held != null
  }
  declaration = jsonencode({ pools = { (var.name) = local.declared } })
}

# The pool's end. It is its own resource, as the one below is replaced at every change.
resource "terraform_data" "pool" {
  input = {
    name        = var.name
    command     = var.command
    environment = merge(var.environment, { PUSH_DISPATCH_TABLE = var.table_name })
  }

  triggers_replace = [var.name, var.table_name]

  # Refused while runs wait or hold slots: no pool loses runs by a `terraform destroy`.
  provisioner "local-exec" {
    when        = destroy
    command     = "${self.output.command} pool delete ${self.output.name}"
    environment = self.output.environment
  }
}

resource "terraform_data" "declaration" {
  triggers_replace = [terraform_data.pool.id, local.declaration]

  provisioner "local-exec" {
    command = "printf '%s' \"$DECLARATION\" | ${var.command} apply --file /dev/stdin"
    environment = merge(var.environment, {
      PUSH_DISPATCH_TABLE = var.table_name
      DECLARATION         = local.declaration
    })
  }
}
