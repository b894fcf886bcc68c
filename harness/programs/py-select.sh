# python test_select, as Debian has it.
. /in/lib/python
