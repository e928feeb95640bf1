"""The platform's processes as one group: started in order, watched, stopped together."""
