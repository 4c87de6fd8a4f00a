"""Controls: floor and ceiling of every metric, behind the same interface as the methods."""
