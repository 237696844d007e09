"""Platform specifications: one YAML file per machine."""
