# python test_mmap, as Debian has it.
. /in/lib/python
