"""Triggers that write down which stacks came, changed or went.

An index of the sky in memory (`crowdsky.archive.sky_index`) follows the table ``stack_changes``.
The database fills it, so that no writer of stacks can forget to: a bulk change of privacy or the
erasure of an account are seen like a commit.

In PostgreSQL, numbers of a sequence become visible out of order: of two transactions the one that
drew the lower number may commit later, and whoever had read up to the higher one would never see
it. So a writer takes a lock before it draws, and keeps it until it has committed: the order of the
numbers is the order of the commits. Whoever changes stacks does it late in the transaction.
"""

from __future__ import annotations

__all__ = ["drop_trigger_statements", "trigger_statements"]

_EVENTS = {"insert": "new", "update": "new", "delete": "old"}

_SQLITE = """
CREATE TRIGGER stacks_{event}_noted AFTER {verb} ON stacks
BEGIN INSERT INTO stack_changes (stack_id) VALUES ({row}.id); END
"""

_FUNCTION = """
CREATE FUNCTION note_stack_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('crowdsky.stack_changes'));
    IF TG_OP = 'DELETE' THEN
        INSERT INTO stack_changes (stack_id) VALUES (OLD.id);
    ELSE
        INSERT INTO stack_changes (stack_id) VALUES (NEW.id);
    END IF;
    RETURN NULL;
END $$
"""

_TRIGGER = """
CREATE TRIGGER stacks_noted AFTER INSERT OR UPDATE OR DELETE ON stacks
FOR EACH ROW EXECUTE FUNCTION note_stack_change()
"""


def trigger_statements(dialect_name: str) -> list[str]:
    """SQL that makes the triggers, once the tables are there.

    Parameters
    ----------
    dialect_name : {'sqlite', 'postgresql'}

    Returns
    -------
    list of str
        One statement each.
    """
    if dialect_name == "sqlite":
        return [
            _SQLITE.format(event=event, verb=event.upper(), row=row).strip()
            for event, row in _EVENTS.items()
        ]
    return [_FUNCTION.strip(), _TRIGGER.strip()]


def drop_trigger_statements(dialect_name: str) -> list[str]:
    """SQL that removes them.

    Parameters
    ----------
    dialect_name : {'sqlite', 'postgresql'}

    Returns
    -------
    list of str
    """
    if dialect_name == "sqlite":
        return [f"DROP TRIGGER IF EXISTS stacks_{event}_noted" for event in _EVENTS]
    return [
        "DROP TRIGGER IF EXISTS stacks_noted ON stacks",
        "DROP FUNCTION IF EXISTS note_stack_change()",
    ]
