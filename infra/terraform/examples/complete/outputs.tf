output "push_dispatch" {
  description = "What the command line and other systems need to know."
  value       = module.push_dispatch
}

output "pools" {
  description = "Pools that are declared here."
  value       = [module.etl.name, module.gpu.name, module.office.name, module.reports.name, module.small.name]
}

output "alarm_topic_arn" {
  description = "Topic of the alarms, to subscribe to."
  value       = aws_sns_topic.alarms.arn
}
