output "name" {
  description = "The pool's name, once it is declared."
  value       = var.name

  depends_on = [terraform_data.declaration]
}

output "declaration" {
  description = "What `push-dispatch apply` was given, as JSON."
  value       = local.declaration
}
