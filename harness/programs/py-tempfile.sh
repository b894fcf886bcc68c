# python test_tempfile, as Debian has it.
. /in/lib/python
