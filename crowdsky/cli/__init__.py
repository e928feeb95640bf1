"""The command line: ``crowdsky solve | stack | simulate | catalogue | demo | up | push | ...``.

One module a command, each with a ``configure(parser)`` and a ``run(args)`` that returns the exit
code. What a command imports beyond that, it imports when it runs, so that help is quick.
"""
