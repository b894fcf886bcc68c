# python test_tarfile, as Debian has it.
. /in/lib/python
