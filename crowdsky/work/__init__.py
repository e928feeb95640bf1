"""Work on jobs: fetch a block's raws, stack them, keep the stack. Knows no workflow engine."""
