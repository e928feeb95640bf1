"""What the site keeps, what it publishes, what it does with a location: in three lines, and whole.

This is the one source of that text; the server of the pages shows the whole of it as its page
``privacy``. It says what the code does, so whoever changes the one changes the other.
"""

from __future__ import annotations

__all__ = ["PRIVACY", "THREE_LINES"]

#: Each a heading and a sentence.
THREE_LINES = (
    (
        "What it keeps",
        (
            "Your stacks, for as long as you leave them here. Raw frames go some days after they "
            "were stacked."
        ),
    ),
    (
        "What it publishes",
        (
            "Stacks that you leave public, with your credit. You may keep yours private, or hold "
            "them back for some days."
        ),
    ),
    (
        "Your location",
        (
            "Stays here. Public stacks carry it rounded to a tenth of a degree, some ten "
            "kilometres, and no serial number."
        ),
    ),
)

#: Headings with their paragraphs; plain text.
PRIVACY = (
    (
        "What the site keeps",
        (
            (
                "Your raw frames until they are stacked, and for some days after, so that a stack "
                "can be made again. Your stacks, for as long as you leave them here."
            ),
            (
                "Of every frame that you sent: its name, its fingerprint, when and with what it "
                "was taken, and whether it went into a stack or why it did not. Your user name, "
                "your password as a digest that cannot be read back, and your credit line if you "
                "have given one. Who made a key, or deleted something, is noted for the operator."
            ),
        ),
    ),
    (
        "What it publishes",
        (
            (
                "Stacks that you left public, under the licence and with the credit that you "
                "chose: the picture, where and when on the sky, telescope model, filter and "
                "exposure. Your stacks are public, private, or held back for some days, as you "
                "say. Raw frames are never published."
            ),
        ),
    ),
    (
        "What it does with your location",
        (
            (
                "A Seestar writes into every frame where it stands, and its serial number. "
                "Neither leaves the site: stacks carry the place rounded to a tenth of a degree, "
                "which is some ten kilometres and enough to tell when light arrived. The serial "
                "number is left out."
            ),
        ),
    ),
    (
        "Taking it back",
        (
            (
                "You can take out everything that is kept about you in one file, and erase the "
                "account with all its frames and stacks."
            ),
        ),
    ),
    (
        "Cookies and other sites",
        (
            (
                "Cookies keep you signed in, and nothing else. Your browser itself remembers the "
                "list of an upload, so that it goes on after a crash, and how you like the pages "
                "to look. Pages load nothing from other sites, so nobody else is told that you "
                "were here."
            ),
        ),
    ),
)
