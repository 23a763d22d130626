"""One file per format; the file name is the registry.

A format has SUFFIXES, `claims(source)`, `open_reader`, `plan_output` and `open_writer`, and
`writes(target)`. The first that claims a source, in the order of RANK, reads it.
"""
