# python test_os, as Debian has it.
. /in/lib/python
