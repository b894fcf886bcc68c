# perl: regular expressions, sorting, processes, files, sockets, signals.
cat > /tmp/t.pl <<'P'
use strict; use warnings; use POSIX; use Socket; use IO::Handle; use File::Find; use File::Temp qw(tempdir); use Fcntl ':flock'; use Time::HiRes qw(usleep ualarm); use Digest::SHA 'sha256_hex'; use Storable 'dclone';
my %h; $h{$_ % 7} += $_ for 1..1000; print join(",", map {"$_=$h{$_}"} sort keys %h), "\n";
my $text = join " ", map { chr(97 + $_ % 26) x ($_ % 5 + 1) } 1..500; my $n = () = $text =~ /\b(\w)\1{2}\b/g; print "$n\n";
my $pid = fork; if (!$pid) { exit 7 } waitpid $pid, 0; print $? >> 8, "\n";
pipe my $r, my $w; if (!fork) { print $w "child\n"; exit } close $w; print <$r>; wait;
socketpair my $s, my $t, AF_UNIX, SOCK_STREAM, 0; $s->autoflush; print $s "line\n"; print scalar <$t>;
$SIG{ALRM} = sub { print "alarm\n" }; ualarm 50000; select undef, undef, undef, 1;
my $d = tempdir(CLEANUP => 1); open my $f, '>', "$d/x"; flock $f, LOCK_EX; print $f "x" x 1000; close $f; print -s "$d/x", "\n";
my $c = 0; find(sub { $c++ if -f }, '/usr/share/perl5'); print $c > 100 ? "many\n" : "few\n";
print sha256_hex("kiln"), "\n"; print POSIX::strftime("%Y-%m-%d", gmtime 1e9), "\n"; print `echo back`; print join(" ", (stat "/etc/passwd")[2,3,4,5,7]) =~ /^33188 1|^33188/ ? "stat\n" : "no\n";
local $| = 1; system "exit 3"; print $? >> 8, "\n"; my @sorted = sort { $a <=> $b } map { ($_ * 7919) % 10007 } 1..5000; print "@sorted[0..4]\n"; kill 9, $$;
P
exec perl /tmp/t.pl
