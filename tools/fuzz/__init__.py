"""Feeds damaged files to every command that reads files, and looks for crashes, hangs, memory and stray writes.

``make fuzz`` runs it; see ``__main__`` for the options. All damage comes from a seed, so every finding can be
repeated. The steps are:

``image_runs``
    Damaged images of many kinds, one run of ``clipcli classify`` for each kind.
``file_runs``
    Damaged label files, tables, logs, configs, checkpoints, results and records, each read by its commands.
``sockets``
    Every command with ``--offline`` under ``strace``: no Internet socket may be opened.
"""
