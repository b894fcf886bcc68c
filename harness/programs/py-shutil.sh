# python test_shutil, as Debian has it.
. /in/lib/python
