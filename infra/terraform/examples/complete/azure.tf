# Without Azure: `locals { azure = null }`, `aci = null` in main.tf, no pool `office`, and no azurerm in
# versions.tf.

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
