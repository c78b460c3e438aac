# Is bad input refused, and by the variable that it is in?

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  bundles = "./tests/bundles"
}

run "a_name_that_no_function_can_have" {
  command = plan
  variables {
    name = "push dispatch"
  }
  expect_failures = [var.name]
}

run "a_retention_that_cloudwatch_does_not_know" {
  command = plan
  variables {
    log_retention_days = 31
  }
  expect_failures = [var.log_retention_days]
}

run "an_alias_in_place_of_a_key" {
  command = plan
  variables {
    kms_key_arn = "alias/mine"
  }
  expect_failures = [var.kms_key_arn]
}

run "less_concurrency_than_lambda_takes" {
  command = plan
  variables {
    platform_concurrency = 1
  }
  expect_failures = [var.platform_concurrency]
}

run "a_cluster_without_subnets" {
  command = plan
  variables {
    managed = { subnets = [] }
  }
  expect_failures = [var.managed]
}

run "a_role_by_its_name" {
  command = plan
  variables {
    ecs_task_roles = ["my-role"]
  }
  expect_failures = [var.ecs_task_roles]
}

run "a_role_to_assume_by_its_name" {
  command = plan
  variables {
    ecs_assume_roles = ["my-role"]
  }
  expect_failures = [var.ecs_assume_roles]
}

run "secrets_of_the_system_among_those_of_runs" {
  command = plan
  variables {
    system_secrets_prefix = "push-dispatch/system/"
  }
  expect_failures = [var.system_secrets_prefix]
}

run "a_cluster_by_its_name" {
  command = plan
  variables {
    ecs_clusters = ["my-cluster"]
  }
  expect_failures = [var.ecs_clusters]
}

run "every_secret_of_the_account" {
  command = plan
  variables {
    secrets_prefix = ""
  }
  expect_failures = [var.secrets_prefix]
}

run "a_collector_without_a_scheme" {
  command = plan
  variables {
    otlp = { endpoint = "collector:4318" }
  }
  expect_failures = [var.otlp]
}
