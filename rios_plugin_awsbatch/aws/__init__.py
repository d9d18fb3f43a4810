"""What this package asks of AWS, whatever for: clients, errors, names, facts about services."""
