# python test_posix, as Debian has it.
. /in/lib/python
