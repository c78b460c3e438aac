# Who may push, and what may they do?

mock_provider "google" {
  mock_resource "google_iam_workload_identity_pool" {
    defaults = {
      name = "projects/1/locations/global/workloadIdentityPools/push-dispatch"
    }
  }
  mock_resource "google_iam_workload_identity_pool_provider" {
    defaults = {
      name = "projects/1/locations/global/workloadIdentityPools/push-dispatch/providers/aws-sts"
    }
  }
  mock_resource "google_service_account" {
    defaults = {
      email  = "account@my-project.iam.gserviceaccount.com"
      member = "serviceAccount:account@my-project.iam.gserviceaccount.com"
      name   = "projects/my-project/serviceAccounts/account@my-project.iam.gserviceaccount.com"
    }
  }
}

variables {
  project  = "my-project"
  role_arn = "arn:aws:iam::123456789012:role/push-dispatch-push-cloud-run"
  issuer   = "https://issuer.example"
}

run "the_outputs_are_what_the_function_asks_for" {
  command = apply

  assert {
    condition     = output.cloud_run.audience == "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/push-dispatch/providers/aws-sts"
    error_message = "Audience: ${output.cloud_run.audience}."
  }
}

run "one_role_is_trusted" {
  command = apply

  assert {
    condition     = google_iam_workload_identity_pool_provider.aws.attribute_condition == "assertion.sub == '${var.role_arn}'"
    error_message = "Another role is trusted."
  }
  assert {
    condition     = endswith(google_service_account_iam_member.federation.member, "/subject/${var.role_arn}")
    error_message = "Another principal may act as the account."
  }
}

run "an_assumed_role_is_no_role" {
  command = plan

  variables {
    role_arn = "arn:aws:sts::123456789012:assumed-role/push-dispatch-push-cloud-run/session"
  }

  expect_failures = [var.role_arn]
}

run "a_name_has_to_fit_service_accounts" {
  command = plan

  variables {
    name = "a-name-that-is-far-too-long"
  }

  expect_failures = [var.name]
}
