"""Pictures of an evaluation, for its report and for comparison videos."""
