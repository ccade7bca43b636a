"""How good a result is: one module a metric."""
