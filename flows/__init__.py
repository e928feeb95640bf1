"""Prefect around `crowdsky.work`: runs with names, links and pictures; no science, and no truth.

What is to be done, by whom, and what came of it stands in the archive's tables (jobs and leases).
Prefect runs it and shows it. So nothing here is lost when its server is away: jobs are then worked
on all the same, and only not shown.
"""
