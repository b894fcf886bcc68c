# stress-ng on file systems.
CLASSES="filesystem io"
. /in/lib/stress
