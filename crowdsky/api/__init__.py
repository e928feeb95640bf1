"""The service: everything that pages, notebooks and scripts ask for, over HTTP."""
