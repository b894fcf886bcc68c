# python test_zipfile, as Debian has it.
. /in/lib/python
