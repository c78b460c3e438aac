# Without Azure: `locals { azure = null }`, `aci = null` in main.tf, and no pool `office`.

terraform {
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.67, < 6.0"
    }
  }
}

provider "azurerm" {
  features {}

  subscription_id = var.azure_subscription_id
}

module "azure" {
  source = "../../modules/platform-aci"

  name     = var.name
  location = var.azure_location
  role_arn = local.role_of_aci
  issuer   = var.issuer

  tags = local.tags
}

locals {
  azure = module.azure
}
