# In place of examples/complete/azure.tf: what its module tells, without its provider.
locals {
  azure = {
    aci                 = { tenant_id = "tenant", client_id = "client" }
    resource_group_name = "group"
    subscription_id     = var.azure_subscription_id
  }
}
