# Without Google Cloud: `locals { google = null }`, `cloud_run = null` in main.tf, and no pool `reports`.

terraform {
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0, < 8.0"
    }
  }
}

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
