"""How accurate every stage of the pipeline is: simulated performances through its own rules, compared with their truth."""
