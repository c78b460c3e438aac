# What each metric means: docs/reference/metrics.md. Pools are found by searching for them.

locals {
  here = "service=\"${var.name}\" MetricName"

  widgets = [
    {
      title   = "Runs that ended, by pool and state"
      metrics = [[{ expression = "SEARCH('{PushDispatch,pool,service,state} ${local.here}=\"Ended\"', 'Sum', 60)" }]]
    },
    {
      title = "From due to pushed, by pool, p50 and p95, ms"
      metrics = [
        [{ expression = "SEARCH('{PushDispatch,pool,service} ${local.here}=\"DispatchLatency\"', 'p50', 60)" }],
        [{ expression = "SEARCH('{PushDispatch,pool,service} ${local.here}=\"DispatchLatency\"', 'p95', 60)" }],
      ]
    },
    {
      title   = "Slots used, by pool"
      metrics = [[{ expression = "SEARCH('{PushDispatch,pool,service} ${local.here}=\"SlotsUsed\"', 'Maximum', 60)" }]]
    },
    {
      title   = "Waiting at the heads of the queues, by pool and reason"
      metrics = [[{ expression = "SEARCH('{PushDispatch,pool,reason,service} ${local.here}=\"Waiting\"', 'Maximum', 60)" }]]
    },
    {
      title   = "Longest wait of all pools, s"
      metrics = [["PushDispatch", "OldestWaiting", "service", var.name, { stat = "Maximum" }]]
    },
    {
      title   = "Failures, by pool and reason"
      metrics = [[{ expression = "SEARCH('{PushDispatch,pool,reason,service} ${local.here}=\"Failures\"', 'Sum', 60)" }]]
    },
    {
      title   = "Calls of the platforms, p95, ms"
      metrics = [[{ expression = "SEARCH('{PushDispatch,call,platform,service} ${local.here}=\"PlatformCallLatency\"', 'p95', 60)" }]]
    },
    {
      title = "Dispatch: behind its stream, ms; errors; throttles"
      metrics = [
        ["AWS/Lambda", "IteratorAge", "FunctionName", module.dispatch.name, { stat = "Maximum" }],
        ["AWS/Lambda", "Errors", "FunctionName", module.dispatch.name, { stat = "Sum" }],
        ["AWS/Lambda", "Throttles", "FunctionName", module.dispatch.name, { stat = "Sum" }],
      ]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "dashboard" {
  count = var.enable_dashboard ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [for widget in local.widgets : {
      type       = "metric"
      width      = 12
      height     = 6
      properties = { title = widget.title, region = local.region, metrics = widget.metrics }
    }]
  })
}
