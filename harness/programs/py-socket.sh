# python test_socket, as Debian has it.
. /in/lib/python
