output "cloud_run" {
  description = "For the root module's cloud_run."
  value = {
    project         = var.project
    audience        = "//iam.googleapis.com/${google_iam_workload_identity_pool_provider.aws.name}"
    service_account = google_service_account.push.email
  }
}

output "jobs_service_account" {
  description = "For the job variable `service_account_name`: push-dispatch may start jobs as no other account."
  value       = google_service_account.jobs.email
}
