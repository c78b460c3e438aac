# What a pool of type cloud-run-v2 needs of a project: an identity for the function that pushes, which
# one role of AWS can take on without any key, and another one for the jobs.

resource "google_project_service" "api" {
  for_each = toset(var.enable_apis ? ["iam", "iamcredentials", "logging", "run", "sts"] : [])

  project = var.project
  service = "${each.key}.googleapis.com"

  # Others in the project may need it.
  disable_on_destroy = false
}

# -- who pushes -----------------------------------------------------------------------------------

resource "google_iam_workload_identity_pool" "pool" {
  project                   = var.project
  workload_identity_pool_id = var.name
  display_name              = var.name
  description               = "Functions of push-dispatch in AWS."

  depends_on = [google_project_service.api]
}

# The audience is left at the default, the provider's own name, for which the function asks STS.
resource "google_iam_workload_identity_pool_provider" "aws" {
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.pool.workload_identity_pool_id
  workload_identity_pool_provider_id = "aws-sts"
  attribute_mapping                  = { "google.subject" = "assertion.sub" }
  attribute_condition                = "assertion.sub == '${var.role_arn}'"

  oidc {
    issuer_uri = var.issuer
  }
}

resource "google_service_account" "push" {
  project      = var.project
  account_id   = "${var.name}-push"
  display_name = "push-dispatch starts, watches and stops jobs"

  depends_on = [google_project_service.api]
}

resource "google_service_account_iam_member" "federation" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.pool.name}/subject/${var.role_arn}"
}

# CloudRun.google_permissions; no predefined role is as small.
resource "google_project_iam_custom_role" "push" {
  project = var.project
  role_id = "${replace(var.name, "-", "_")}_push"
  title   = "push-dispatch starts, watches and stops jobs"
  permissions = [
    # Of whoever creates a job Cloud Run asks whether he may read its image. For images in another
    # project grant roles/artifactregistry.reader there, to this account and Cloud Run's agent.
    "artifactregistry.repositories.downloadArtifacts",
    "logging.logEntries.list",
    "run.executions.cancel",
    "run.executions.get",
    "run.executions.list",
    "run.jobs.create",
    "run.jobs.delete",
    "run.jobs.get",
    "run.jobs.run",
    "run.tasks.list",
  ]

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "push" {
  project = var.project
  role    = google_project_iam_custom_role.push.name
  member  = google_service_account.push.member
}

# -- as whom the jobs run -------------------------------------------------------------------------

# The code in the jobs may do nothing, before you say what.
resource "google_service_account" "jobs" {
  project      = var.project
  account_id   = "${var.name}-jobs"
  display_name = "Jobs that push-dispatch starts"

  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "jobs" {
  for_each = var.job_roles

  project = var.project
  role    = each.value
  member  = google_service_account.jobs.member
}

resource "google_project_iam_custom_role" "act_as" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_act_as"
  title       = "push-dispatch starts jobs as their own account"
  permissions = ["iam.serviceAccounts.actAs"]

  depends_on = [google_project_service.api]
}

# On this one account: on the project it would be every account's power.
resource "google_service_account_iam_member" "act_as" {
  service_account_id = google_service_account.jobs.name
  role               = google_project_iam_custom_role.act_as.name
  member             = google_service_account.push.member
}
