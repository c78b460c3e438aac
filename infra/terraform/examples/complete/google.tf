# Without Google Cloud: `locals { google = null }`, `cloud_run = null` in main.tf, no pool `reports`, and no
# google in versions.tf.

provider "google" {
  project = var.google_project
}

module "google" {
  source = "../../modules/platform-cloud-run"

  project  = var.google_project
  name     = var.name
  role_arn = local.role_of_cloud_run
  issuer   = var.issuer
}

locals {
  google = module.google
}
