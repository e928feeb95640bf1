"""Prefect flows around `crowdsky.work` and `crowdsky.archive`; no science and no rules of their own."""
