# Who may push, and what may they do?

mock_provider "azurerm" {
  mock_resource "azurerm_resource_group" {
    defaults = {
      id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/push-dispatch"
    }
  }
  mock_resource "azurerm_user_assigned_identity" {
    defaults = {
      id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/push-dispatch/providers/Microsoft.ManagedIdentity/userAssignedIdentities/push-dispatch-push"
      client_id    = "00000000-0000-0000-0000-000000000002"
      principal_id = "00000000-0000-0000-0000-000000000003"
      tenant_id    = "00000000-0000-0000-0000-000000000004"
    }
  }
  mock_resource "azurerm_role_definition" {
    defaults = {
      role_definition_resource_id = "/subscriptions/00000000-0000-0000-0000-000000000001/providers/Microsoft.Authorization/roleDefinitions/00000000-0000-0000-0000-000000000005"
    }
  }
  mock_data "azurerm_subscription" {
    defaults = {
      id              = "/subscriptions/00000000-0000-0000-0000-000000000001"
      subscription_id = "00000000-0000-0000-0000-000000000001"
    }
  }
}

variables {
  location = "westeurope"
  role_arn = "arn:aws:iam::123456789012:role/push-dispatch-push-aci"
  issuer   = "https://issuer.example"
}

run "one_role_is_trusted" {
  command = apply

  assert {
    condition     = azurerm_federated_identity_credential.aws.subject == var.role_arn
    error_message = "Another role is trusted."
  }
  assert {
    condition     = output.aci.client_id == azurerm_user_assigned_identity.push.client_id
    error_message = "The function would sign in as another."
  }
}

run "it_may_do_something_in_its_resource_group_only" {
  command = apply

  assert {
    condition     = azurerm_role_assignment.push.scope == azurerm_resource_group.group.id
    error_message = "It may do something elsewhere."
  }
  assert {
    condition     = length(azurerm_role_definition.use) == 0
    error_message = "There is a role that nobody has asked for."
  }
}

run "what_may_be_used_is_a_subnet_or_an_identity" {
  command = plan

  variables {
    uses = { everything = "/subscriptions/00000000-0000-0000-0000-000000000001" }
  }

  expect_failures = [var.uses]
}

run "an_assumed_role_is_no_role" {
  command = plan

  variables {
    role_arn = "arn:aws:sts::123456789012:assumed-role/push-dispatch-push-aci/session"
  }

  expect_failures = [var.role_arn]
}
