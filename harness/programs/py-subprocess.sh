# python test_subprocess, as Debian has it.
. /in/lib/python
