"""One file per format; the file name is the registry.

A format has RANK, SUFFIXES, `claims(source)` and `writes(target, reader)`, which say whether it
reads a source or writes a target; `default_target`, `open_reader`, `plan_output` and
`open_writer`. Of those that claim, the one with the lowest rank is taken.
"""
