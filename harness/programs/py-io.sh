# python test_io, as Debian has it.
. /in/lib/python
