# What a pool of type azure-container-instance needs of a subscription: a resource group of its own, and
# an identity that one role of AWS can take on without any secret.

resource "azurerm_resource_group" "group" {
  name     = var.name
  location = var.location

  tags = var.tags
}

# -- who pushes -----------------------------------------------------------------------------------

resource "azurerm_user_assigned_identity" "push" {
  name                = "${var.name}-push"
  resource_group_name = azurerm_resource_group.group.name
  location            = azurerm_resource_group.group.location

  tags = var.tags
}

resource "azurerm_federated_identity_credential" "aws" {
  name                      = "aws-sts"
  user_assigned_identity_id = azurerm_user_assigned_identity.push.id
  issuer                    = var.issuer
  subject                   = var.role_arn
  audience                  = ["api://AzureADTokenExchange"]
}

# -- what it may do -------------------------------------------------------------------------------

# With `uses`, Aci.azure_actions; no role of Azure's own is as small.
resource "azurerm_role_definition" "push" {
  name        = "${var.name} push"
  scope       = azurerm_resource_group.group.id
  description = "push-dispatch starts, watches and stops container groups."

  permissions {
    actions = [
      "Microsoft.ContainerInstance/containerGroups/containers/logs/read",
      "Microsoft.ContainerInstance/containerGroups/delete",
      "Microsoft.ContainerInstance/containerGroups/read",
      "Microsoft.ContainerInstance/containerGroups/stop/action",
      "Microsoft.ContainerInstance/containerGroups/write",
      "Microsoft.Resources/subscriptions/resourceGroups/read",
    ]
  }

  assignable_scopes = [azurerm_resource_group.group.id]
}

resource "azurerm_role_assignment" "push" {
  scope              = azurerm_resource_group.group.id
  role_definition_id = azurerm_role_definition.push.role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.push.principal_id
  principal_type     = "ServicePrincipal"
}

# Subnets and identities may be anywhere in the subscription, and a custom role is known in a resource
# group or above; it is assigned on each of them only.
data "azurerm_subscription" "current" {}

resource "azurerm_role_definition" "use" {
  count = length(var.uses) > 0 ? 1 : 0

  name        = "${var.name} use"
  scope       = data.azurerm_subscription.current.id
  description = "push-dispatch gives container groups this subnet or identity."

  permissions {
    actions = [
      "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
      "Microsoft.Network/virtualNetworks/subnets/join/action",
    ]
  }

  assignable_scopes = [data.azurerm_subscription.current.id]
}

resource "azurerm_role_assignment" "use" {
  for_each = var.uses

  scope              = each.value
  role_definition_id = azurerm_role_definition.use[0].role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.push.principal_id
  principal_type     = "ServicePrincipal"
}
