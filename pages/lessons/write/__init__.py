"""The lesson of Write it yourself."""
