# dpkg -i of a package, its removal, and what the database says of it.
export DEBIAN_FRONTEND=noninteractive; dpkg -i /in/sources/hello_*.deb 2>&1 | grep -v '^(Reading'; hello; dpkg -s hello | head -3; dpkg -L hello | sort | sha1sum; dpkg -V hello; dpkg -r hello 2>&1 | grep -v '^(Reading'; dpkg --audit; dpkg -l | wc -l; apt-get -qq check; echo $?; apt-cache policy bash | head -2
