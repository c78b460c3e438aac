terraform {
  required_version = ">= 1.9"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.67, < 6.0" # the federated credential knows user_assigned_identity_id
    }
  }
}
