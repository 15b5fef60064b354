"""What a site reports: machines one by one, and the sensors of the site."""
