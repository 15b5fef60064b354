"""What experiments write for people: tables and pages."""
