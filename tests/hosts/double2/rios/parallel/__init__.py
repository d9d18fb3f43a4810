"""Where RIOS 2.0 still keeps the job managers of RIOS 1.4."""
