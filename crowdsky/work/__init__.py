"""One job, from its raws to its row: fetch, stack, verify, store, commit; nothing of any engine."""
