# apt: an archive made here, its package installed, looked at, upgraded to, held and purged.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C; cd /tmp && mkdir -p repo new/DEBIAN new/usr/bin && cp /in/sources/hello_*.deb repo/
printf '%s\n' 'Package: kiln-sample' 'Version: 1' 'Architecture: all' 'Depends: hello (>= 2)' 'Maintainer: nobody <nobody@localhost>' 'Description: a sample' > new/DEBIAN/control
printf '#!/bin/sh\nhello -g sampled\n' > new/usr/bin/sample; chmod 755 new/usr/bin/sample; printf '#!/bin/sh\necho "configured $1"\n' > new/DEBIAN/postinst; chmod 755 new/DEBIAN/postinst
dpkg-deb --root-owner-group -b new repo/sample_1.deb; sed -i 's/^Version: 1/Version: 2/' new/DEBIAN/control
index() { (cd repo && dpkg-scanpackages -m . 2>/dev/null > Packages && gzip -9nkf Packages); apt-get -o Acquire::Languages=none update 2>&1 | sed 's/ in [0-9]*s.*//' | grep -v '^Get\|^Hit\|^Ign\|^Fetched\|^Reading' ; }
tell() { grep -v '^(Reading\|^Fetched\|^Get:\|^Need to get\|^debconf' | tr '\r' '\n'; }
rm -f /etc/apt/sources.list.d/*; echo 'deb [trusted=yes] file:/tmp/repo ./' > /etc/apt/sources.list; index; apt-cache policy kiln-sample
apt-get install -y kiln-sample 2>&1 | tell; sample; apt-mark showauto | grep -c hello; dpkg-deb --root-owner-group -b new repo/sample_2.deb; index; apt-get upgrade -y 2>&1 | tell; dpkg -s kiln-sample | grep Version
apt-mark hold kiln-sample; apt-get purge -y --autoremove --allow-change-held-packages kiln-sample 2>&1 | tell; command -v hello sample; apt-get install -y no-such-package 2>&1 | tail -1; apt-get check 2>&1 | tail -1; dpkg --audit; echo $?
