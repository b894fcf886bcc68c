# stress-ng on memory.
CLASSES="vm memory cpu-cache"
. /in/lib/stress
