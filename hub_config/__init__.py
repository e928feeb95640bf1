"""JupyterHub's configuration: who signs in, how, and what each of them gets. One concern a file."""
