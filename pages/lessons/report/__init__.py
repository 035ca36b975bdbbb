"""Report: the three tables of the report, reproduced."""
