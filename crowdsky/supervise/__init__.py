"""The platform's processes as one group: started in order, kept alive, stopped together."""
