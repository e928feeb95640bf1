"""The server of the pages: notebooks drawn by Voila, each view with a kernel of its own."""
