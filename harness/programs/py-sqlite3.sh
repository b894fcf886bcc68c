# python test_sqlite3, from its source.
cp -r /in/sources/test_sqlite3 /usr/lib/python3.11/test/ && . /in/lib/python
