# python test_dbm, as Debian has it.
. /in/lib/python
