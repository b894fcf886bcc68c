# python test_multiprocessing_fork, as Debian has it.
. /in/lib/python
