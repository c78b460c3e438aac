output "aci" {
  description = "For the root module's aci."
  value = {
    tenant_id = azurerm_user_assigned_identity.push.tenant_id
    client_id = azurerm_user_assigned_identity.push.client_id
  }
}

output "resource_group_name" {
  description = "For the job variable `resource_group_name`."
  value       = azurerm_resource_group.group.name
}

output "subscription_id" {
  description = "For the job variable `subscription_id`."
  value       = data.azurerm_subscription.current.subscription_id
}
