"""How the tables came to be what they are: one module a change, in order.

To change a table, change `crowdsky.archive.models` and add ``versions/rNNNN_what.py`` after the
newest one. The test that compares the models with a migrated database prints the operations that
are missing. Tables of SQLite are changed with ``op.batch_alter_table``, which copies them; indexes
with conditions and triggers on such a table are made anew afterwards.
"""
