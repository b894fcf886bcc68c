# python test_sqlite3, as Debian has it.
. /in/lib/python
