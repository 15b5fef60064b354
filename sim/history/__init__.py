"""What has happened: series of weather, electricity and coins, and when each was published."""
