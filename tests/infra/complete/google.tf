# In place of examples/complete/google.tf: what its module tells, without its provider.
locals {
  google = {
    cloud_run = {
      project         = var.google_project
      audience        = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/aws-sts"
      service_account = "push@my-project.iam.gserviceaccount.com"
    }
    jobs_service_account = "jobs@my-project.iam.gserviceaccount.com"
  }
}
