# Is the complete example's part in AWS all that it says?

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  bundles               = "../../tests/bundles"
  command               = "true"
  subnets               = ["subnet-1", "subnet-2"]
  issuer                = "https://issuer.example"
  google_project        = "my-project"
  azure_subscription_id = "00000000-0000-0000-0000-000000000001"
  alarm_email           = "somebody@example.com"
}

override_resource {
  target = aws_kms_key.key
  values = { arn = "arn:aws:kms:eu-central-1:123456789012:key/k" }
}

override_resource {
  target = aws_sns_topic.alarms
  values = { arn = "arn:aws:sns:eu-central-1:123456789012:push-dispatch-alarms" }
}

run "every_platform_has_its_function" {
  command = apply

  assert {
    condition     = keys(output.push_dispatch.push_role_arns) == ["aci", "cloud-run", "ecs", "modal"]
    error_message = "Roles: ${join(", ", keys(output.push_dispatch.push_role_arns))}."
  }
  assert {
    condition     = alltrue([for url in ["api_url", "report_url"] : output.push_dispatch[url] != null])
    error_message = "There is no API, or no reporter."
  }
}

run "a_pool_starts_in_the_cluster_that_was_made_for_it" {
  command = apply

  assert {
    condition = (
      jsondecode(module.etl.declaration).pools.etl.base_job_template.variables.properties.cluster.default
      == module.ecs.cluster_arn
    )
    error_message = "Its template names another cluster."
  }
  assert {
    condition = (
      jsondecode(module.etl.declaration).pools.etl.base_job_template.job_configuration.cluster
      == "{{ cluster }}"
    )
    error_message = "A run cannot name another one."
  }
}

run "a_default_of_nothing_is_refused" {
  command = plan

  module {
    source = "../../modules/pool"
  }
  variables {
    table_name        = "table"
    name              = "p"
    type              = "ecs"
    base_job_template = "{\"variables\": {\"properties\": {\"cluster\": {}}}}"
    defaults          = { klaster = "c" }
  }
  expect_failures = [var.defaults]
}
