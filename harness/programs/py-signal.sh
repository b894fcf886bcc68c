# python test_signal, as Debian has it.
. /in/lib/python
