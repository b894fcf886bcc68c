# python test_threading, as Debian has it.
. /in/lib/python
