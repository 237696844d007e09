"""Decoders as workloads with phases: the prompt, then token by token."""
