"""The tables.

::

    observers ─┬─ telescopes
               ├─ api_keys, downloads, audit, files_to_erase
               ├─ uploads ── upload_items          what came of every file that was sent
               ├─ frames ─── objects               the ledger; the bytes, by their content
               ├─ batches ── jobs ── leases        one finalise, a job a block
               └─ blocks ─┬─ frames                what is to be stacked together
                          └─ stacks ── stack_inputs, stack_changes

What must hold is a constraint here, not only a habit of the code:

- A frame is in one state: ``accepted = stacked + rejected + pending`` is a count of one column, and
  what is rejected has a reason.
- An observer has the same bytes once.
- A block has one live job and one stack, and a frame is in one block and once in its stack.
- A stack's frames are those used and those rejected.

The bytes of raws, stacks and previews lie in the file store under the SHA-256 of their content.
`ObjectRow` says what lies there; whether one is needed is told by the rows that name it.
"""

from __future__ import annotations

from crowdsky.archive.tables_base import Base
from crowdsky.archive.tables_files import (
    Download,
    ObjectRow,
    Upload,
    UploadItem,
)
from crowdsky.archive.tables_people import (
    ApiKey,
    AuditEntry,
    FileToErase,
    Observer,
    Telescope,
)
from crowdsky.archive.tables_work import (
    CELL_ORDER,
    Batch,
    BlockRow,
    FrameRow,
    Job,
    Lease,
    StackChange,
    StackInput,
    StackRow,
)

__all__ = [
    "CELL_ORDER",
    "ApiKey",
    "AuditEntry",
    "Base",
    "Batch",
    "BlockRow",
    "Download",
    "FileToErase",
    "FrameRow",
    "Job",
    "Lease",
    "ObjectRow",
    "Observer",
    "StackChange",
    "StackInput",
    "StackRow",
    "Telescope",
    "Upload",
    "UploadItem",
]
